"""DeepLab-Fast in PyTorch, as somebody would write it, to hold ours against: `python eval/speed.py region`.

The same network with the same parameters (`dvsnet_jax.networks.deeplab_fast`), so that scores can be compared too:
eager, with channels last in memory, and through torch.compile; and in ONNX Runtime and OpenVINO, in float32, where they
are installed. `pip install 'dvsnet-jax[import]' onnx onnxscript onnxruntime openvino` brings them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from dvsnet_jax.config import DeepLabFastConfig
from dvsnet_jax.networks.deeplab_fast import PYRAMID, residual_units
from dvsnet_jax.networks.layers import BatchNorm

Params = Mapping[str, Mapping[str, Any]]


class Convolution(nn.Module):
    """TensorFlow's SAME padding, which is one-sided where a stride leaves an odd rest."""

    def __init__(self, params: Mapping[str, Any], stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        weights = np.asarray(params["weights"], np.float32).transpose(3, 2, 0, 1)
        cout, cin, self.kernel, _ = weights.shape
        self.convolution = nn.Conv2d(cin, cout, self.kernel, stride, dilation=dilation, bias="biases" in params)
        self.convolution.weight.data = torch.tensor(weights)
        if "biases" in params:
            self.convolution.bias.data = torch.tensor(np.asarray(params["biases"]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        stride, dilation = self.convolution.stride[0], self.convolution.dilation[0]
        return self.convolution(padded(x, self.kernel, stride, dilation))


def padded(x: torch.Tensor, kernel: int, stride: int, dilation: int, value: float = 0.0) -> torch.Tensor:
    sides = []
    for size in (x.shape[3], x.shape[2]):
        reach = dilation * (kernel - 1) + 1
        total = max(0, (-(-size // stride) - 1) * stride + reach - size)
        sides += [total // 2, total - total // 2]
    return functional.pad(x, sides, value=value) if any(sides) else x


def batch_norm(params: Mapping[str, Any]) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(len(params["gamma"]), eps=BatchNorm.epsilon)
    for name, ours in (("weight", "gamma"), ("bias", "beta"), ("running_mean", "moving_mean"),
                       ("running_var", "moving_variance")):  # fmt: skip
        getattr(layer, name).data = torch.tensor(np.asarray(params[ours]))
    return layer


class Bottleneck(nn.Module):
    def __init__(self, params: Params, unit: Any) -> None:
        super().__init__()
        parts = [("branch2a", unit.stride, 1), ("branch2b", 1, unit.dilation), ("branch2c", 1, 1)]
        parts += [("branch1", unit.stride, 1)] if unit.project else []
        for name, stride, dilation in parts:
            layer = Convolution(params[f"res{unit.name}_{name}"], stride, dilation)
            setattr(self, name, nn.Sequential(layer, batch_norm(params[f"bn{unit.name}_{name}"])))
        self.project = unit.project

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.branch2b(torch.relu(self.branch2a(x))))
        return torch.relu((self.branch1(x) if self.project else x) + self.branch2c(y))


class DeepLabFast(nn.Module):
    """Images `[n, 3, h, w]`, BGR minus the mean → class scores at stride 16. `params` are those of the room
    `segmentation`, as trained."""

    def __init__(self, params: Params, config: DeepLabFastConfig) -> None:
        super().__init__()
        self.stem = nn.Sequential(Convolution(params["conv1"], 2), batch_norm(params["bn_conv1"]), nn.ReLU())
        self.units = nn.Sequential(*(Bottleneck(params, unit) for unit in residual_units(config)))
        names = [f"fc1_voc12_c{index}" for index in range(len(PYRAMID))]
        self.branches = nn.ModuleList(
            nn.Sequential(Convolution(params[name], 1, dilation), batch_norm(params[f"{name}_bn"]))
            for name, (_, dilation) in zip(names, PYRAMID, strict=True)
        )
        self.head = nn.Sequential(
            Convolution(params["fc_oooo"]), batch_norm(params["fc_oooo_bn"]), Convolution(params["fc_out"])
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool2d(padded(self.stem(images), 3, 2, 1, float("-inf")), 3, 2)
        x = self.units(x)
        return self.head(sum(branch(x) for branch in self.branches))


def forms(
    params: Params, config: DeepLabFastConfig, images: np.ndarray, *, compiled: bool = True
) -> dict[str, Callable[[], np.ndarray]]:
    """By name, calls that give the scores `[n, h, w, classes]` of images `[n, h, w, 3]`, BGR minus the mean."""
    network = DeepLabFast(params, config).eval()
    given = torch.tensor(images.transpose(0, 3, 1, 2))
    last = DeepLabFast(params, config).eval().to(memory_format=torch.channels_last)
    given_last = given.contiguous(memory_format=torch.channels_last)
    calls = {"PyTorch eager": (network, given), "PyTorch eager, channels_last": (last, given_last)}
    if compiled:
        calls["PyTorch torch.compile, channels_last"] = (torch.compile(last), given_last)

    def scores(module: Any, x: torch.Tensor) -> np.ndarray:
        with torch.inference_mode():
            return module(x).permute(0, 2, 3, 1).numpy()

    in_torch = {name: lambda module=module, x=x: scores(module, x) for name, (module, x) in calls.items()}
    return in_torch | in_runtimes(network, given)


def in_runtimes(network: nn.Module, images: torch.Tensor) -> dict[str, Callable[[], np.ndarray]]:
    """The same in those of ONNX Runtime and OpenVINO that are installed, float32 throughout, as ours is."""
    calls: dict[str, Callable[[], np.ndarray]] = {}
    given = images.numpy()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        if find_spec("onnxscript") and (find_spec("onnxruntime") or find_spec("openvino")):
            torch.onnx.export(network, (images,), file, input_names=["images"], dynamo=True, verbose=False)
        if file.exists() and find_spec("onnxruntime"):
            import onnxruntime

            session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
            name = f"ONNX Runtime {onnxruntime.__version__}"
            calls[name] = lambda: session.run(None, {"images": given})[0].transpose(0, 2, 3, 1)
        if file.exists() and find_spec("openvino"):
            import openvino

            settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
            compiled = openvino.Core().compile_model(file, "CPU", settings)
            name = f"OpenVINO {openvino.__version__.split('-')[0]}"
            calls[name] = lambda: compiled([given])[0].transpose(0, 2, 3, 1)
    return calls
