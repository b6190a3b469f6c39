#!/usr/bin/env bash
# torch 2.13 has dropped the overloads for named tensors (aten.prod.dim_Dimname and 20 more). torchax 0.0.13 names them in tables
# that are built when it is imported and used first, so that it does not import; with stand-ins for the missing ones it works.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 torchax==0.0.13 jax==0.10.2 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import importlib.metadata
import pathlib
import re
import sys

import jax
import torch

print("torch", torch.__version__, "torchax", importlib.metadata.version("torchax"))
try:
    import torchax
except AttributeError as error:
    print("import torchax:", error)
    refused = "dim_Dimname" in str(error)
else:
    refused = False
assert refused

root = pathlib.Path(importlib.metadata.distribution("torchax").locate_file("torchax"))
named = {found for file in root.rglob("*.py") for found in re.findall(r"torch\.ops\.aten\.(\w+)\.(\w+)", file.read_text())}
missing = sorted((op, overload) for op, overload in named if not hasattr(getattr(torch.ops.aten, op), overload))
print(len(missing), "overloads that torchax lists are not there:", ", ".join(map(".".join, missing)))
assert len(missing) == 21 and all("name" in overload.lower() for _, overload in missing)

for name in [name for name in sys.modules if name.startswith("torchax")]:
    del sys.modules[name]  # what the import that failed has left
for op, overload in missing:
    setattr(getattr(torch.ops.aten, op), overload, object())
import torchax

torchax.default_env()
module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).eval()
weights, function = torchax.extract_jax(module)
image = torch.randn(1, 3, 8, 8)
apart = abs(torch.as_tensor(function(weights, (jax.numpy.asarray(image.numpy()),)).tolist()) - module(image)).max().item()
print("with stand-ins for them it works:", apart, "apart from torch")
assert apart < 1e-5
PYTHON
