"""Networks: linen modules, called through pure functions of a plain dict of arrays. Only this folder imports flax."""

from dvsnet_jax.networks.decision import DecisionNetwork as DecisionNetwork
from dvsnet_jax.networks.deeplab_fast import DeepLabFast as DeepLabFast
from dvsnet_jax.networks.deeplab_lite import DeepLabLite as DeepLabLite
from dvsnet_jax.networks.deeplab_v2 import DeepLabV2 as DeepLabV2
from dvsnet_jax.networks.flow_and_decision import carried_flow as carried_flow
from dvsnet_jax.networks.flow_and_decision import decision_input as decision_input
from dvsnet_jax.networks.flow_and_decision import decision_network as decision_network
from dvsnet_jax.networks.flow_and_decision import expected_confidence as expected_confidence
from dvsnet_jax.networks.flow_and_decision import flow_and_feature as flow_and_feature
from dvsnet_jax.networks.flow_and_decision import key_features as key_features
from dvsnet_jax.networks.flownet.flownet2s import FlowNet2s as FlowNet2s
from dvsnet_jax.networks.flownet.predictions import flow_predictions as flow_predictions
from dvsnet_jax.networks.flownet.predictions import full_size_flow as full_size_flow
from dvsnet_jax.networks.local_decision import LocalDecisionNetwork as LocalDecisionNetwork
from dvsnet_jax.networks.merged_classes import merge_classes as merge_classes
from dvsnet_jax.networks.merged_classes import merged_classes as merged_classes
from dvsnet_jax.networks.preparation import Params as Params
from dvsnet_jax.networks.preparation import Precision as Precision
from dvsnet_jax.networks.preparation import prepare as prepare
from dvsnet_jax.networks.pytorch.module import from_torch as from_torch
from dvsnet_jax.networks.segmentation import abstract_params as abstract_params
from dvsnet_jax.networks.segmentation import init_params as init_params
from dvsnet_jax.networks.segmentation import is_head as is_head
from dvsnet_jax.networks.segmentation import segmentation_scores as segmentation_scores
from dvsnet_jax.networks.segmentation import training_scores as training_scores
