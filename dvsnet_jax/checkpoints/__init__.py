"""Weights in files: our own checkpoints, the import of the original's, and weights made from names alone."""

from dvsnet_jax.checkpoints.accelerator import load_accelerator as load_accelerator
from dvsnet_jax.checkpoints.accelerator import load_around as load_around
from dvsnet_jax.checkpoints.accelerator import save_accelerator as save_accelerator
from dvsnet_jax.checkpoints.bundled import BUNDLE as BUNDLE
from dvsnet_jax.checkpoints.bundled import CARRIED as CARRIED
from dvsnet_jax.checkpoints.bundled import load_bundled as load_bundled
from dvsnet_jax.checkpoints.bundled import write_bundle as write_bundle
from dvsnet_jax.checkpoints.foreign.flow_weights import import_flow as import_flow
from dvsnet_jax.checkpoints.foreign.flow_weights import is_torch as is_torch
from dvsnet_jax.checkpoints.foreign.flow_weights import load_flow as load_flow
from dvsnet_jax.checkpoints.foreign.flownet2_tf import from_flownet2_tf as from_flownet2_tf
from dvsnet_jax.checkpoints.foreign.nvidia import from_nvidia as from_nvidia
from dvsnet_jax.checkpoints.foreign.nvidia import read_nvidia as read_nvidia
from dvsnet_jax.checkpoints.foreign.original import from_tensorflow as from_tensorflow
from dvsnet_jax.checkpoints.foreign.original import import_tensorflow as import_tensorflow
from dvsnet_jax.checkpoints.foreign.tensorflow_files import is_tensorflow as is_tensorflow
from dvsnet_jax.checkpoints.foreign.tensorflow_files import read_tensorflow as read_tensorflow
from dvsnet_jax.checkpoints.own.network import OwnNetwork as OwnNetwork
from dvsnet_jax.checkpoints.own.network import open_network as open_network
from dvsnet_jax.checkpoints.own.network import with_merged_classes as with_merged_classes
from dvsnet_jax.checkpoints.seeded import seeded_params as seeded_params
from dvsnet_jax.checkpoints.store import load as load
from dvsnet_jax.checkpoints.store import load_config as load_config
from dvsnet_jax.checkpoints.store import save as save
