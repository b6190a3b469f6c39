#!/usr/bin/env bash
# jaxonnxruntime 0.3.0, the one way from ONNX to JAX (2023), knows no Resize, which every segmentation network has that is
# exported from PyTorch; a convolution alone passes. It does not ask for absl-py and onnx, which it needs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check jaxonnxruntime==0.3.0 onnx==1.17.0 absl-py==2.3.1 jax==0.10.2 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON' 2>&1 | grep -v WARNING
import importlib.metadata

import numpy as np
from jaxonnxruntime import call_onnx, config
from onnx import TensorProto, helper, numpy_helper

config.update("jaxort_only_allow_initializers_as_static_args", False)
print(*(f"{name} {importlib.metadata.version(name)}" for name in ("jaxonnxruntime", "onnx", "jax")))
image = np.ones((1, 3, 8, 8), np.float32)


def run(nodes, shape, **constants):
    graph = helper.make_graph(
        nodes, "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, image.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    function, weights = call_onnx.call_onnx_model(model, {"x": image})
    return function(weights, {"x": image})


kernel = np.ones((2, 3, 1, 1), np.float32)
print("Conv:", np.asarray(run([helper.make_node("Conv", ["x", "kernel"], ["y"])], (1, 2, 8, 8), kernel=kernel)[0]).shape)
scales = np.array([1, 1, 2, 2], np.float32)
resize = helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="linear", coordinate_transformation_mode="half_pixel")
try:
    run([resize], (1, 3, 16, 16), scales=scales)
    refused = False
except Exception as error:
    print("Resize:", type(error).__name__, str(error).splitlines()[0])
    refused = "Resize" in str(error)
assert refused
PYTHON
