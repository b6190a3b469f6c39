#!/usr/bin/env bash
# JAX's arrays cannot be written to, but torch's `as_tensor` and `from_dlpack` give a tensor that is their memory and can: filling void in
# labels, or training weights that were taken over, changes the JAX array that others hold, and nothing is said. What was compiled with
# such an array as a constant keeps its old numbers, so that one function gives two results. numpy's views of them are read-only;
# `torch.from_numpy` of such a view writes too, after a warning. `torch.tensor` copies. Seen on a CPU with JAX 0.10.2, torch 2.13.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder" && JAX_PLATFORMS=cpu venv/bin/python - <<'PYTHON'
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import torch

print("jax", jax.__version__, "torch", torch.__version__)
ways = {
    "torch.as_tensor": torch.as_tensor, "torch.from_dlpack": torch.from_dlpack,
    "torch.from_numpy(np.asarray)": lambda array: torch.from_numpy(np.asarray(array)), "torch.tensor": torch.tensor,
}  # fmt: skip
for name, given in ways.items():
    labels = jnp.full((64, 64), 255, jnp.uint8)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        tensor = given(labels)
        tensor[tensor == 255] = 0
    after = int(np.asarray(labels).max())
    print(f"{name}: the JAX array's 255 is now {after}; warnings {len(told)}")
    assert after == (255 if name == "torch.tensor" else 0) and bool(told) == ("from_numpy" in name)
assert not np.asarray(labels).flags.writeable and not np.from_dlpack(labels).flags.writeable

# A step of torch's descent on weights of JAX.
weights = jax.random.normal(jax.random.key(0), (256, 256))
before = np.array(weights)
compiled = jax.jit(lambda image: image @ weights)
image = jnp.eye(256)
compiled(image).block_until_ready()
parameter = torch.nn.Parameter(torch.as_tensor(weights))
parameter.square().sum().backward()
torch.optim.SGD([parameter], lr=0.1).step()
ratio = float(np.median(np.asarray(weights) / before))
print(f"JAX's weights are {ratio:.2f} of what they were; the function compiled before has the old ones,", end=" ")
print("one compiled now the new")
assert np.allclose(np.asarray(weights), 0.8 * before, rtol=1e-5)
assert np.allclose(compiled(image), before, rtol=1e-5)
assert np.allclose(jax.jit(lambda image: 1 * image @ weights)(image), 0.8 * before, rtol=1e-5)
PYTHON
