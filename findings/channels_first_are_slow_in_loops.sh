#!/usr/bin/env bash
# XLA:CPU brings a convolution with channels first (NCHW) into its fast form in a program's main part, and not inside a loop or a
# conditional: there a 1×1 convolution of 512 channels takes many times as long. With channels last both take the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import time

import jax
import jax.numpy as jnp
from jax import lax

print("jax", jax.__version__)


def fastest(layout, images, kernel, inside):
    def convolve(images, kernel):
        return lax.conv_general_dilated(images, kernel, (1, 1), "VALID", dimension_numbers=layout)

    def conditional(images, kernel):
        other = jnp.zeros(jax.eval_shape(convolve, images, kernel).shape)
        return lax.cond(images.ravel()[0] > 0, lambda: convolve(images, kernel), lambda: other)

    program = jax.jit(conditional if inside else convolve).lower(images, kernel).compile()
    spent = []
    for _ in range(4):
        began = time.perf_counter()
        jax.block_until_ready(program(images, kernel))
        spent.append(time.perf_counter() - began)
    return 1000 * min(spent)


first = (("NCHW", "OIHW", "NCHW"), jnp.ones((1, 512, 48, 64)), jnp.ones((256, 512, 1, 1)))
last = (("NHWC", "HWIO", "NHWC"), jnp.ones((1, 48, 64, 512)), jnp.ones((1, 1, 512, 256)))
times = {name: [fastest(*given, inside) for inside in (False, True)] for name, given in (("first", first), ("last", last))}
for name, (outside, inside) in times.items():
    print(f"channels {name}: {outside:.1f} ms, inside a conditional {inside:.1f} ms")
assert times["first"][1] > 5 * times["first"][0] and times["last"][1] < 3 * times["last"][0]
PYTHON
