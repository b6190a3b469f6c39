#!/usr/bin/env bash
# torch's `interpolate` with a scale factor whose rounded size is the size that was (16 rows times 1.01) leaves that axis as it is.
# Compiled (`torch.compile`) or exported and decomposed, which is what torchax and ONNX's exporter build on, the same call resamples
# it with the scale's inverse instead, by up to half a pixel and more: other numbers, no warning. Seen with torch 2.13.0 on a CPU:
# largest difference 0.5 and more, of values from a normal distribution; with a scale that changes the size, 1e-6.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import torch
from torch._decomp import decomposition_table


class Enlarged(torch.nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, images):
        return torch.nn.functional.interpolate(images, scale_factor=self.scale, mode="bilinear")


print("torch", torch.__version__)
images = torch.randn(1, 1, 16, 24, generator=torch.Generator().manual_seed(0))
for scale, differs in (((1.01, 1.01), True), ((1.01, 1.3), True), ((1.7, 1.3), False)):
    module = Enlarged(scale).eval()
    eager = module(images)
    compiled = torch.compile(module, backend="aot_eager_decomp_partition")(images)
    exported = torch.export.export(module, (images,)).run_decompositions(decomposition_table).module()(images)
    apart = [float((other - eager).abs().max()) for other in (compiled, exported)]
    print(f"scale {scale}: {tuple(eager.shape)}, compiled and exported differ from eager by {apart[0]:.1e} and {apart[1]:.1e}")
    assert all((each > 0.1) == differs and (differs or each < 1e-5) for each in apart)
assert torch.equal(Enlarged((1.01, 1.01))(images), images)
PYTHON
