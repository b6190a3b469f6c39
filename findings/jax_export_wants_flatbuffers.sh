#!/usr/bin/env bash
# jax.export.Exported.serialize needs the package flatbuffers, which installing jax does not bring: it is no dependency of jax or
# jaxlib, nor of an extra. Everything up to writing works without it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cat > "$folder/export.py" <<'PYTHON'
import importlib.metadata
import importlib.util

import jax
import jax.export
import jax.numpy as jnp

print("jax", jax.__version__, "flatbuffers is there:", importlib.util.find_spec("flatbuffers") is not None)
wanted = [line for name in ("jax", "jaxlib") for line in importlib.metadata.requires(name) or []]
assert not any("flatbuffers" in line for line in wanted), wanted
exported = jax.export.export(jax.jit(lambda x: x + 1))(jax.ShapeDtypeStruct((2,), jnp.float32))
try:
    print("serialized:", len(exported.serialize()) > 0)
except ImportError as error:
    print("serialize:", error)
    raise SystemExit(3)
PYTHON
cd "$folder"
JAX_PLATFORMS=cpu venv/bin/python export.py && exit 1 || [ $? = 3 ]
venv/bin/pip install -q --disable-pip-version-check flatbuffers==25.12.19
JAX_PLATFORMS=cpu venv/bin/python export.py
