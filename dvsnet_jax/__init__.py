"""Dynamic Video Segmentation Network (Xu et al., CVPR 2018) in JAX.

- **The frame step**: `init_state`, `segment_frame`, `segment_clip` are the whole story. `VideoState` goes from frame to
  frame, `FrameResult` comes out; `prepare` makes parameters ready for inference, once.
- **Files in, labels out**: `segment_source`, and `segment_frames` for a loop of your own, with their `Segmenter` in
  `dvsnet_jax.inference.segment_source`, from `dvsnet_jax.media.sources` (and `media.live.source`, cameras and streams)
  to `dvsnet_jax.media.output_folder`.
- **Configuration**: `DVSNetConfig`, and in it those of its networks: `DeepLabFastConfig`, `DeepLabV2Config`,
  `DeepLabLiteConfig`, `DeepLabPairConfig`; `FlowNet2sConfig`, or `CarriedMotionConfig`, which takes each frame's
  `FrameMotion` in place of a flow network; `DecisionConfig`, `LocalDecisionConfig`.
- **Policies**, which say when a region is segmented: `ExpectedConfidence` (the paper's), `DynamicTarget`,
  `AccumulatedLoss`, `Budget`, `FrameRate`, `FixedInterval`, `FrameDifference`, `FlowMagnitude`. One of your own is a
  `Policy`, which decides by `Evidence`.
- **Networks of your own**: `SegmentationFunction`, or a PyTorch module by `networks.from_torch`, with the `ImageInput`
  that it wants; `FlowFunction` and the `FlowOutput` that it gives.
- **Optical flow**: `estimate_flow`, with `FlowNet2Config` and its two conventions, `FLOWNET2_TF` and `NVIDIA`.

Weights are in `dvsnet_jax.checkpoints`, networks in `dvsnet_jax.networks`, measures in `dvsnet_jax.metrics`, data in
`dvsnet_jax.datasets`, training in `dvsnet_jax.training`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvsnet_jax.config import (
        CarriedMotionConfig,
        DecisionConfig,
        DeepLabFastConfig,
        DeepLabLiteConfig,
        DeepLabPairConfig,
        DeepLabV2Config,
        DVSNetConfig,
        FlowNet2sConfig,
        ImageInput,
        LocalDecisionConfig,
    )
    from dvsnet_jax.flow import estimate_flow
    from dvsnet_jax.flownet_config import FLOWNET2_TF, NVIDIA, FlowNet2Config
    from dvsnet_jax.frame_motion import FrameMotion
    from dvsnet_jax.frame_result import FrameResult
    from dvsnet_jax.inference.segment_frames import segment_frames
    from dvsnet_jax.inference.segment_source import segment_source
    from dvsnet_jax.networks import prepare
    from dvsnet_jax.policies import (
        AccumulatedLoss,
        Budget,
        DynamicTarget,
        Evidence,
        ExpectedConfidence,
        FixedInterval,
        FlowMagnitude,
        FrameDifference,
        FrameRate,
        Policy,
    )
    from dvsnet_jax.protocols import FlowFunction, FlowOutput, SegmentationFunction
    from dvsnet_jax.video import VideoState, init_state, segment_clip, segment_frame

__version__ = "0.1.0"

# Imported when asked for: jax takes a second, and `dvsnet --help` and what reads labels alone do without it.
_MODULE_OF = {
    "AccumulatedLoss": "policies",
    "Budget": "policies",
    "CarriedMotionConfig": "config",
    "DVSNetConfig": "config",
    "DecisionConfig": "config",
    "DeepLabFastConfig": "config",
    "DeepLabLiteConfig": "config",
    "DeepLabPairConfig": "config",
    "DeepLabV2Config": "config",
    "DynamicTarget": "policies",
    "Evidence": "policies",
    "ExpectedConfidence": "policies",
    "FLOWNET2_TF": "flownet_config",
    "FixedInterval": "policies",
    "FlowFunction": "protocols",
    "FlowMagnitude": "policies",
    "FlowNet2Config": "flownet_config",
    "FlowNet2sConfig": "config",
    "FlowOutput": "protocols",
    "FrameDifference": "policies",
    "FrameMotion": "frame_motion",
    "FrameRate": "policies",
    "FrameResult": "frame_result",
    "ImageInput": "config",
    "LocalDecisionConfig": "config",
    "NVIDIA": "flownet_config",
    "Policy": "policies",
    "SegmentationFunction": "protocols",
    "VideoState": "video",
    "estimate_flow": "flow",
    "init_state": "video",
    "prepare": "networks",
    "segment_clip": "video",
    "segment_frame": "video",
    "segment_frames": "inference.segment_frames",
    "segment_source": "inference.segment_source",
}

# Spelled out, because type checkers and editors read it.
__all__ = [
    "FLOWNET2_TF",
    "NVIDIA",
    "AccumulatedLoss",
    "Budget",
    "CarriedMotionConfig",
    "DVSNetConfig",
    "DecisionConfig",
    "DeepLabFastConfig",
    "DeepLabLiteConfig",
    "DeepLabPairConfig",
    "DeepLabV2Config",
    "DynamicTarget",
    "Evidence",
    "ExpectedConfidence",
    "FixedInterval",
    "FlowFunction",
    "FlowMagnitude",
    "FlowNet2Config",
    "FlowNet2sConfig",
    "FlowOutput",
    "FrameDifference",
    "FrameMotion",
    "FrameRate",
    "FrameResult",
    "ImageInput",
    "LocalDecisionConfig",
    "Policy",
    "SegmentationFunction",
    "VideoState",
    "estimate_flow",
    "init_state",
    "prepare",
    "segment_clip",
    "segment_frame",
    "segment_frames",
    "segment_source",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        globals()[name] = value = getattr(importlib.import_module(f"dvsnet_jax.{_MODULE_OF[name]}"), name)
        return value
    raise AttributeError(f"module 'dvsnet_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
