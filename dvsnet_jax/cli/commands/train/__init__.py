"""`dvsnet train …`, a module for each stage."""

from __future__ import annotations

from dvsnet_jax.cli.commands.train.class_offsets import ClassOffsets
from dvsnet_jax.cli.commands.train.decision import TrainDecision
from dvsnet_jax.cli.commands.train.decision_data import DecisionData
from dvsnet_jax.cli.commands.train.flow_joint import FineTuneFlow
from dvsnet_jax.cli.commands.train.flow_pairs import FlowPairs
from dvsnet_jax.cli.commands.train.flow_supervised import TrainFlow
from dvsnet_jax.cli.commands.train.segmentation import TrainSegmentation
from dvsnet_jax.cli.running import Family

TRAIN = Family(
    "Train one network of DVSNet on your own data.",
    {
        "segmentation": TrainSegmentation,
        "class-offsets": ClassOffsets,
        "flow-pairs": FlowPairs,
        "flow-supervised": TrainFlow,
        "flow-joint": FineTuneFlow,
        "decision-data": DecisionData,
        "decision": TrainDecision,
    },
)
