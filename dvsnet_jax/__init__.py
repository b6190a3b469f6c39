"""Dynamic Video Segmentation Network (Xu et al., CVPR 2018) in JAX.

The whole story in three functions: `init_state`, `segment_frame`, `segment_clip`. Around them: the configuration and
its policies here, networks in `dvsnet_jax.networks`, weights in `dvsnet_jax.checkpoints`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dvsnet_jax.config import CarriedMotionConfig as CarriedMotionConfig
from dvsnet_jax.config import DecisionConfig as DecisionConfig
from dvsnet_jax.config import DeepLabFastConfig as DeepLabFastConfig
from dvsnet_jax.config import DeepLabV2Config as DeepLabV2Config
from dvsnet_jax.config import DVSNetConfig as DVSNetConfig
from dvsnet_jax.config import FlowNet2sConfig as FlowNet2sConfig
from dvsnet_jax.config import LocalDecisionConfig as LocalDecisionConfig
from dvsnet_jax.flownet_config import FLOWNET2_TF as FLOWNET2_TF
from dvsnet_jax.flownet_config import NVIDIA as NVIDIA
from dvsnet_jax.flownet_config import FlowNet2Config as FlowNet2Config
from dvsnet_jax.frame_motion import FrameMotion as FrameMotion
from dvsnet_jax.frame_result import FrameResult as FrameResult
from dvsnet_jax.policies import AccumulatedLoss as AccumulatedLoss
from dvsnet_jax.policies import Budget as Budget
from dvsnet_jax.policies import DynamicTarget as DynamicTarget
from dvsnet_jax.policies import ExpectedConfidence as ExpectedConfidence
from dvsnet_jax.policies import FixedInterval as FixedInterval
from dvsnet_jax.policies import FlowMagnitude as FlowMagnitude
from dvsnet_jax.policies import FrameDifference as FrameDifference
from dvsnet_jax.policies import FrameRate as FrameRate
from dvsnet_jax.protocols import FlowFunction as FlowFunction
from dvsnet_jax.protocols import FlowOutput as FlowOutput
from dvsnet_jax.protocols import SegmentationFunction as SegmentationFunction

if TYPE_CHECKING:
    from dvsnet_jax.flow import estimate_flow as estimate_flow
    from dvsnet_jax.networks import prepare as prepare
    from dvsnet_jax.video import VideoState as VideoState
    from dvsnet_jax.video import init_state as init_state
    from dvsnet_jax.video import segment_clip as segment_clip
    from dvsnet_jax.video import segment_frame as segment_frame

__version__ = "0.1.0"

# Imported when asked for: these need the networks, and running an exported program does not.
_MODULE_OF = {
    "estimate_flow": "flow",
    "prepare": "networks",
    "VideoState": "video",
    "init_state": "video",
    "segment_clip": "video",
    "segment_frame": "video",
}


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"dvsnet_jax.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'dvsnet_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
