#!/usr/bin/env bash
# safetensors writes the entries of a file's metadata in another order each time: the same tensors with the same metadata of
# several entries give files of different bytes (and other checksums). With one entry they are the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import numpy as np
import safetensors
from safetensors.numpy import save

print("safetensors", safetensors.__version__)
tensors = {"weights": np.arange(6, dtype=np.float32).reshape(2, 3)}
several = {name: name for name in ("format", "config", "sha256", "license")}
files = {save(tensors, metadata=several) for _ in range(20)}
print(len(files), "different files of 20 with four entries of metadata")
assert len(files) > 1 and len({len(file) for file in files}) == 1
files = {save(tensors, metadata={"all": "of it"}) for _ in range(20)}
print(len(files), "of 20 with one entry")
assert len(files) == 1
PYTHON
