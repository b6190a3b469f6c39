"""Weights in files: our own checkpoints, the import of the original's, and weights made from names alone."""

from dvsnet_jax.checkpoints.importing import from_tensorflow as from_tensorflow
from dvsnet_jax.checkpoints.importing import import_tensorflow as import_tensorflow
from dvsnet_jax.checkpoints.seeded import seeded_params as seeded_params
from dvsnet_jax.checkpoints.store import load as load
from dvsnet_jax.checkpoints.store import load_config as load_config
from dvsnet_jax.checkpoints.store import save as save
from dvsnet_jax.checkpoints.tensorflow_files import is_tensorflow as is_tensorflow
from dvsnet_jax.checkpoints.tensorflow_files import read_tensorflow as read_tensorflow
