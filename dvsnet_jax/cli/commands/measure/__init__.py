"""`dvsnet measure …`: how good and how fast the networks and the frame step are."""

from __future__ import annotations

from dvsnet_jax.cli.commands.measure.ablations import Ablations
from dvsnet_jax.cli.commands.measure.device_check import DeviceCheck
from dvsnet_jax.cli.commands.measure.equal_speed import EqualSpeed
from dvsnet_jax.cli.commands.measure.feature_ablation import FeatureAblation
from dvsnet_jax.cli.commands.measure.flow import MeasureFlow
from dvsnet_jax.cli.commands.measure.labels import MeasureLabels
from dvsnet_jax.cli.commands.measure.motion import MeasureMotion
from dvsnet_jax.cli.commands.measure.portability import Portability
from dvsnet_jax.cli.commands.measure.segmentation import MeasureSegmentation
from dvsnet_jax.cli.commands.measure.speed import Speed
from dvsnet_jax.cli.commands.measure.step_trace import StepTrace
from dvsnet_jax.cli.running import Family

MEASURE = Family(
    "Measure a network, the frame step's speed, an ablation.",
    {
        "segmentation": MeasureSegmentation,
        "labels": MeasureLabels,
        "flow": MeasureFlow,
        "motion": MeasureMotion,
        "speed": Speed,
        "equal-speed": EqualSpeed,
        "portability": Portability,
        "device-check": DeviceCheck,
        "step-trace": StepTrace,
        "ablations": Ablations,
        "feature-ablation": FeatureAblation,
    },
)
