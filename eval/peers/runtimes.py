"""A PyTorch network from frames to labels, in PyTorch, ONNX Runtime and OpenVINO: the peers of `eval/heavy.py`.

Each call takes a frame, uint8 RGB [1, h, w, 3], and gives its labels, uint8 [1, h, w]: normalized, segmented whole,
scores enlarged, the largest taken, all of it inside the runtime. `pip install onnx onnxscript onnxruntime openvino`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from dvsnet_jax.config import ImageInput

Call = Callable[[np.ndarray], np.ndarray]


class Labels(torch.nn.Module):
    """A segmentation network with what is around it in use."""

    def __init__(self, network: torch.nn.Module, wanted: ImageInput) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(wanted.mean) / wanted.scale)
        self.register_buffer("deviation", torch.tensor(wanted.deviation) / wanted.scale)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        images = ((frames.float() - self.mean) / self.deviation).permute(0, 3, 1, 2)
        found = functional.interpolate(scores(self.network(images)), frames.shape[1:3], mode="bilinear")
        return found.argmax(1).to(torch.uint8)


def scores(output: Any) -> torch.Tensor:
    """Of classes: logits, a dict with "out", or masks with classes put together as transformers does it."""
    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, Mapping) and "masks_queries_logits" in output:
        each = output["class_queries_logits"].softmax(-1)[..., :-1]
        return torch.einsum("nqc,nqhw->nchw", each, output["masks_queries_logits"].sigmoid())
    return output["out"] if "out" in output else output["logits"]


def calls(network: torch.nn.Module, wanted: ImageInput, frame: np.ndarray, folder: Path) -> dict[str, Call]:
    """By name and version, for frames of one size. What a runtime cannot take is told and left out."""
    labels = Labels(network, wanted).eval()
    made: dict[str, Call] = {}
    file = folder / "network.onnx"
    for make in (in_torch, in_torch_channels_last, in_onnx_runtime, in_openvino):
        try:
            name, call = make(labels, frame, file)
            call(frame)
        except Exception as error:
            line = (str(error).strip().splitlines() or [type(error).__name__])[0]
            print(f"{make.__name__[3:]}: {line[:200]}", flush=True)
        else:
            made[name] = call
    return made


def in_torch(labels: Labels, frame: np.ndarray, file: Path) -> tuple[str, Call]:
    def call(frame: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return labels(torch.from_numpy(frame)).numpy()

    return f"PyTorch {torch.__version__.split('+')[0]}", call


def in_torch_channels_last(labels: Labels, frame: np.ndarray, file: Path) -> tuple[str, Call]:
    import copy

    name, call = in_torch(copy.deepcopy(labels).to(memory_format=torch.channels_last), frame, file)
    return f"{name}, channels_last", call


def in_onnx_runtime(labels: Labels, frame: np.ndarray, file: Path) -> tuple[str, Call]:
    import onnxruntime

    session = onnxruntime.InferenceSession(as_onnx(labels, frame, file), providers=["CPUExecutionProvider"])
    return f"ONNX Runtime {onnxruntime.__version__}", lambda frame: session.run(None, {"frames": frame})[0]


def in_openvino(labels: Labels, frame: np.ndarray, file: Path) -> tuple[str, Call]:
    import openvino

    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(as_onnx(labels, frame, file), "CPU", settings)
    return f"OpenVINO {openvino.__version__.split('-')[0]}", lambda frame: compiled([frame])[0]


def as_onnx(labels: Labels, frame: np.ndarray, file: Path) -> Path:
    """The file, written if it is not there yet."""
    if not file.exists():
        torch.onnx.export(labels, (torch.from_numpy(frame),), file, input_names=["frames"], dynamo=True, verbose=False)
    return file
