"""Exported programs: reading and running them, with jax and numpy and none of the networks (`dvsnet_jax.export` writes
them)."""

from dvsnet_jax.program.running import Program as Program
from dvsnet_jax.program.running import load_program as load_program
