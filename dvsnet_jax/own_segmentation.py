"""What is stored of a segmentation network of the user's own: how it wants its images, and what stands for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """How a network wants its images: RGB 0..255, times `scale`, less `mean`, divided by `deviation`, in `order`."""

    mean: tuple[float, float, float]
    """Of the scaled image, in the network's own `order`."""
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Standard deviation, the same."""
    scale: float = 1 / 255
    order: Literal["rgb", "bgr"] = "rgb"
    size: tuple[int, int] | None = None
    """Height and width, for a network that takes no others: what it gets is resized. None: as it comes."""
    multiple: int = 1
    """What height and width must be multiples of: what is not is enlarged to the next one."""

    def __post_init__(self) -> None:
        if len(self.mean) != 3 or len(self.deviation) != 3 or not all(value > 0 for value in self.deviation):
            raise ValueError(f"{self}: mean and deviation are three numbers each, of red, green and blue; none is 0")
        if self.order not in ("rgb", "bgr"):
            raise ValueError(f"order is {self.order!r}; it is 'rgb' or 'bgr'")
        if not self.scale > 0 or self.multiple < 1 or (self.size is not None and min(self.size) < 1):
            raise ValueError(f"{self}: scale, multiple and size are above 0")

    def fitted(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that images of these get."""
        return self.size or (_rounded_up(height, self.multiple), _rounded_up(width, self.multiple))

    @classmethod
    def imagenet(cls, **overrides: Any) -> ImageInput:
        """RGB 0..1, less ImageNet's mean, by its deviation: what most networks of torchvision and timm want."""
        return cls(**{"mean": (0.485, 0.456, 0.406), "deviation": (0.229, 0.224, 0.225), **overrides})


def wanted_images(network: Any) -> ImageInput | None:
    """How a `SegmentationFunction` wants its images, where its function says so (`inputs`), as those of PyTorch do."""
    inputs = getattr(getattr(network, "function", None), "inputs", None)
    return inputs if isinstance(inputs, ImageInput) else None


def _rounded_up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


@dataclass(frozen=True, kw_only=True)
class OwnSegmentationConfig:
    """Stands in a checkpoint for a segmentation network of the user's own, which is kept beside the weights or
    elsewhere (`checkpoints.save_accelerator`). Nothing can be segmented with it.
    """

    num_classes: int
    classes: tuple[str, ...] | None = None
    """Their names."""
    source: str | None = None
    """Where the network came from, as `--segmentation` names it."""
    inputs: ImageInput | None = None
    """How it wants its images, where it is a PyTorch module."""
    merged: tuple[int, ...] | None = None
    """Which of the classes each of the network's own has become, 255 for void, where another set of classes was asked
    for (`networks.merge_classes`)."""

    def __post_init__(self) -> None:
        if not 2 <= self.num_classes <= 255:
            raise ValueError(f"num_classes is {self.num_classes}, but labels are uint8 and 255 is void: 2 to 255")
        if self.classes is not None and len(self.classes) != self.num_classes:
            raise ValueError(f"{len(self.classes)} names of classes, but there are {self.num_classes} classes")
        if any(not 0 <= label < self.num_classes and label != 255 for label in self.merged or ()):
            raise ValueError(f"merged is {self.merged}, but there are {self.num_classes} classes, and 255 for void")

    @property
    def num_scores(self) -> int:
        """Scores of a point: one for each class, and void's where there is one."""
        return self.num_classes + (self.merged is not None and 255 in self.merged)
