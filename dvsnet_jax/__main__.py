"""`python -m dvsnet_jax`: the same as the `dvsnet` command."""

import sys

from dvsnet_jax.cli import main

sys.exit(main())
