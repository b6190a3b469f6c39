#!/usr/bin/env bash
# safetensors 0.8.0 writes a numpy array as it lies in memory, under the shape that it has: a transposed or sliced view (a kernel of PyTorch
# turned for JAX by `transpose`, a part of a larger array) comes back with its numbers elsewhere, and nothing is said in writing or in
# reading. 0.7.0 wrote what the array says. The documentation asks for contiguous arrays, and nothing checks, as safetensors' module for
# PyTorch does. `np.ascontiguousarray` helps. Known as safetensors/safetensors#825. Here 4 % and 8 % of the numbers are in their places.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/pip" install -q --disable-pip-version-check --no-deps --target "$folder/before" safetensors==0.7.0
cat > "$folder/script.py" <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from safetensors.numpy import load, save

kernel = np.arange(2 * 3 * 3 * 3, dtype=np.float32).reshape(2, 3, 3, 3)  # PyTorch's: out, in, height, width
arrays = {
    "as it is": kernel, "turned for JAX": kernel.transpose(2, 3, 1, 0), "every second row": kernel[:, :, ::2],
    "a copy of what was turned": np.ascontiguousarray(kernel.transpose(2, 3, 1, 0)),
}  # fmt: skip
read = load(save(arrays))
share = {name: float((read[name] == array).mean()) for name, array in arrays.items()}
assert all(read[name].shape == array.shape for name, array in arrays.items())
print("safetensors", version("safetensors"), {name: f"{100 * right:.0f} % of the numbers in their places" for name, right in share.items()})
views = ("turned for JAX", "every second row")
assert all(right == 1 for name, right in share.items() if sys.argv[1] == "before" or name not in views)
assert sys.argv[1] == "before" or all(share[name] < 0.5 for name in views)
PYTHON
"$folder/venv/bin/python" "$folder/script.py" now
PYTHONPATH="$folder/before" "$folder/venv/bin/python" "$folder/script.py" before
