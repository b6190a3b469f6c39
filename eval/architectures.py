r"""Which PyTorch networks the segmentation path takes: each in full size with random weights, beside torch itself.

    python eval/architectures.py                      # all; about half an hour on two cores
    python eval/architectures.py SegFormer-B0 EoMT    # some

Wants the extra `torch`, torchvision and segmentation-models-pytorch. Prints a markdown table: how far the scores are
from torch's, in their deviations (at most 1e-4), whether jit and an export for cpu, cuda and tpu take it, and the time
of one region, fastest of three, in the same run.
"""

from __future__ import annotations

import sys
import time

import jax
import jax.export
import jax.numpy as jnp
import torch
from peers.torch_networks import MADE, SIZES, made

from dvsnet_jax import ImageInput, networks
from dvsnet_jax.benchmarks.multiply_adds import count_parameters, multiply_adds
from dvsnet_jax.networks.pytorch.outputs import class_scores

REGION = (288, 384)


def row(name: str) -> str:
    module = made(name)
    size = SIZES.get(name, REGION)
    network, params = networks.from_torch(module, ImageInput.imagenet(size=SIZES.get(name)))
    function = jax.jit(network.function.function)  # before its scores are brought to the frame step's grid
    images = torch.randn(1, 3, *size)
    array = jnp.asarray(images.numpy())
    with torch.inference_mode():
        (out, theirs), began = timed(lambda: module(images)), time.perf_counter()
    step = function.lower(params, array).compile()
    compiling = time.perf_counter() - began
    scores, ours = timed(lambda: jax.block_until_ready(step(params, array)))
    out = dict(out) if hasattr(out, "items") else out
    wanted = class_scores(jax.tree.map(lambda leaf: jnp.asarray(leaf.numpy()), out))
    apart = float(abs(scores - wanted).max() / wanted.std())
    jax.export.export(function, platforms=("cpu", "cuda", "tpu"))(params, array)
    return (f"{name} | {size[0]}×{size[1]} | {apart:.1e} | yes | yes | {count_parameters(params) / 1e6:.1f} M | "
            f"{multiply_adds(function, params, array) / 1e9:.1f} G | {compiling:.0f} | {1000 * ours:,.0f} | "
            f"{1000 * theirs:,.0f} | {ours / theirs:.2f}")  # fmt: skip


def timed(run):
    spent = []
    for _ in range(4):
        began = time.perf_counter()
        out = run()
        spent.append(time.perf_counter() - began)
    return out, min(spent[1:])


def main(argv: list[str] | None = None) -> int:
    head = "network, region, apart, jit, export, parameters, multiply-adds, compile s, ms, torch ms, of torch"
    print(f"| {head.replace(', ', ' | ')} |")
    print("|---|---|--:|---|---|--:|--:|--:|--:|--:|--:|")
    for name in [each for each in MADE if not argv or any(each.startswith(word) for word in argv)]:
        try:
            print(f"| {row(name)} |", flush=True)
        except Exception as error:
            print(f"| {name} | fails: {str(error).strip().splitlines()[0][:150]} |" + " |" * 9, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
