"""The frame step as a file: one serialized XLA program with weights, for machines without this package's networks."""

from dvsnet_jax.export.writing import PLATFORMS as PLATFORMS
from dvsnet_jax.export.writing import export_program as export_program
