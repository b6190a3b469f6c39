"""Policies: when does a region become a key region?

A policy is a frozen dataclass: its kind is compiled into the frame step, its numbers are arguments of the compiled
program, so that another target is no other program and counts from the next frame on, in the middle of a video too.
What changes from frame to frame is carried by the caller (in `VideoState`), one entry per region; no setting is in it.

    state = policy.init(regions)
    segment, state = policy.decide(state, evidence)     # Bool[regions]: True takes the segmentation path

Both are pure and run inside the compiled frame step. A stream's first frame never asks: every region is segmented and
the policy's state stays as `init` made it. A number that is NaN or infinite means "segment", whatever the policy.
"""

from dvsnet_jax.policies.accumulated import AccumulatedLoss as AccumulatedLoss
from dvsnet_jax.policies.accumulated import AccumulatedLossState as AccumulatedLossState
from dvsnet_jax.policies.accumulated import Budget as Budget
from dvsnet_jax.policies.accumulated import BudgetState as BudgetState
from dvsnet_jax.policies.accumulated import FrameRate as FrameRate
from dvsnet_jax.policies.accumulated import FrameRateState as FrameRateState
from dvsnet_jax.policies.accumulated import accumulated_loss as accumulated_loss
from dvsnet_jax.policies.base import Evidence as Evidence
from dvsnet_jax.policies.base import Policy as Policy
from dvsnet_jax.policies.base import check_state as check_state
from dvsnet_jax.policies.base import check_traced as check_traced
from dvsnet_jax.policies.base import join as join
from dvsnet_jax.policies.base import kept_finite as kept_finite
from dvsnet_jax.policies.base import no_number as no_number
from dvsnet_jax.policies.base import split as split
from dvsnet_jax.policies.base import worst_where as worst_where
from dvsnet_jax.policies.moving import DynamicTarget as DynamicTarget
from dvsnet_jax.policies.moving import FixedInterval as FixedInterval
from dvsnet_jax.policies.moving import FixedIntervalState as FixedIntervalState
from dvsnet_jax.policies.moving import TargetMoves as TargetMoves
from dvsnet_jax.policies.moving import moved_target as moved_target
from dvsnet_jax.policies.recalibration import Recalibration as Recalibration
from dvsnet_jax.policies.recalibration import init_recalibration as init_recalibration
from dvsnet_jax.policies.recalibration import observed as observed
from dvsnet_jax.policies.recalibration import recalibrated as recalibrated
from dvsnet_jax.policies.shared import Shared as Shared
from dvsnet_jax.policies.shared import SharedBudget as SharedBudget
from dvsnet_jax.policies.shared import SharedFrameRate as SharedFrameRate
from dvsnet_jax.policies.shared import SharedState as SharedState
from dvsnet_jax.policies.shared import check_frames as check_frames
from dvsnet_jax.policies.shared import over_streams as over_streams
from dvsnet_jax.policies.thresholds import ExpectedConfidence as ExpectedConfidence
from dvsnet_jax.policies.thresholds import FlowMagnitude as FlowMagnitude
from dvsnet_jax.policies.thresholds import FrameDifference as FrameDifference
