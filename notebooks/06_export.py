# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Export and portability
#
# The frame step is one XLA program: regions, flow, decision, routing, segmentation, warping (section 3 of the
# [paper](https://openaccess.thecvf.com/content_cvpr_2018/papers/Xu_Dynamic_Video_Segmentation_CVPR_2018_paper.pdf), in
# one piece). So it can be written to a file and run where there is no Python source of the networks. Here we export it
# for three platforms, look into the file, run it in a process that cannot import the networks, and see what the
# platforms' programs are made of.

# %%
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

from dvsnet_jax import AccumulatedLoss, init_state, prepare, segment_frame
from dvsnet_jax.benchmarks.exported_program import read_clip
from dvsnet_jax.checkpoints import load_bundled
from dvsnet_jax.errors import InputError
from dvsnet_jax.export import export_program
from dvsnet_jax.export.custom_calls import custom_calls, operations
from dvsnet_jax.export.lowering import lowered_text
from dvsnet_jax.export.step_by_name import named_step
from dvsnet_jax.program import load_program

HEIGHT, WIDTH, FRAMES = 128, 256, 8
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "street.dvsnet"

params, config = load_bundled()
config = config.replace(policy=AccumulatedLoss(20.0))
video = Path(os.environ["DVSNET_DATA"]) / "video" / "highway_960x540.mp4" if "DVSNET_DATA" in os.environ else None
clip = read_clip(video, (HEIGHT, WIDTH), frames=FRAMES)
print("clip:", clip.dtype, clip.shape, "(time, streams, height, width, RGB)")

# %% [markdown]
# ## Writing
#
# Frame size, policy and precision are fixed in the program; how many videos step together is left open. None of the
# platforms needs to be here: lowering for a GPU or a TPU works on any machine.

# %%
began = time.perf_counter()
manifest = export_program(path, params, config, height=HEIGHT, width=WIDTH, platforms=("cpu", "cuda", "tpu"))
print(f"written in {time.perf_counter() - began:.0f} s: {path.stat().st_size / 1e6:.1f} MB")
for name in ("platforms", "frame_size", "streams", "precision", "policy", "calling_convention_version"):
    print(f"{name:28s} {manifest[name]}")

# %% [markdown]
# ## What is in the file
#
# A plain zip: the program, the weights as numpy arrays, and a manifest with everything's size and SHA-256. Nothing in
# it is ever unpickled.

# %%
with zipfile.ZipFile(path) as archive:
    sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
weights = [name for name in sizes if name.startswith("weights/")]
for name in sorted(sizes.keys() - set(weights)):
    print(f"{name:20s} {sizes[name]:>10,} bytes")
print(f"{len(weights)} weights       {sum(sizes[name] for name in weights):>10,} bytes")

# %% [markdown]
# ## Running it without the networks
#
# To show that the file needs none of the model's code, this runs in a process of its own in which importing
# `dvsnet_jax.networks`, `dvsnet_jax.video` or flax fails.

# %%
SCRIPT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("dvsnet_jax.networks", "dvsnet_jax.video", "flax")):
            raise ImportError(f"{name} is not on this machine")

sys.meta_path.insert(0, Refuse())
import numpy as np
from dvsnet_jax.program import load_program

program = load_program(sys.argv[1])
clip, state = np.load(sys.argv[2]), program.init_state(streams=1)
results = []
for frames in clip:
    state, result = program.step(state, frames)
    results.append(result)
np.savez(sys.argv[3], **{field: np.stack([np.asarray(getattr(r, field)) for r in results]) for field in result._fields})
print("imported of the package:", len([name for name in sys.modules if name.startswith("dvsnet_jax")]), "modules")
print("networks among them:", any(name.startswith("dvsnet_jax.networks") for name in sys.modules))
"""
inputs, outputs = Path(folder.name) / "clip.npy", Path(folder.name) / "results.npz"
np.save(inputs, clip)
done = subprocess.run([sys.executable, "-c", SCRIPT, path, inputs, outputs], capture_output=True, text=True)
print(done.stdout or done.stderr)

# %% [markdown]
# ## The same, to the bit?
#
# Hold it against the direct call here. On one and the same platform it is the same program, so labels, scores and
# routes must be identical, not merely close.

# %%
ready = prepare(params, config)
state, direct = init_state(ready, clip[0], config=config), []
for frames in clip:
    state, result = segment_frame(ready, state, frames, config=config)
    direct.append(jax.device_get(result))
with np.load(outputs) as exported:
    for field in direct[0]._fields:
        mine = np.stack([getattr(each, field) for each in direct])
        print(f"{field:10s} identical: {np.array_equal(mine, exported[field], equal_nan=mine.dtype.kind == 'f')}")
    routes, labels = exported["segmented"][:, 0], exported["labels"][:, 0]

fig, axes = plt.subplots(1, 2, figsize=(10, 2.6), width_ratios=(2, 1), layout="constrained")
axes[0].imshow(clip[-1, 0])
axes[0].axis("off")
axes[0].set_title("last frame")
axes[1].imshow(routes.T, cmap="YlOrBr", vmin=0, vmax=1, aspect="auto")
axes[1].set(xlabel="frame", ylabel="region", title="segmented (dark), by the program", yticks=range(routes.shape[1]))
plt.show()

# %% [markdown]
# ## Two videos at once
#
# The number of streams was left open: it is chosen when the state is made.

# %%
program = load_program(path)
state = program.init_state(streams=2)
two = np.concatenate([clip[0], clip[-1]])
state, result = program.step(state, two)
print("frames", two.shape, "→ labels", result.labels.shape, "segmented", result.segmented.shape)

# %% [markdown]
# ## A damaged file
#
# One bit in the middle of the file changed, and it is refused before anything of it is run.

# %%
content = bytearray(path.read_bytes())
content[len(content) // 2] ^= 1
damaged = path.with_name("damaged.dvsnet")
damaged.write_bytes(content)
try:
    load_program(damaged)
except InputError as error:
    print(str(error).replace(folder.name, "…"))

# %% [markdown]
# ## What the programs are made of
#
# Before XLA compiles it, a program is a list of StableHLO operations. Counted by kind for each platform and precision,
# and the custom calls, which are what could tie a program to one platform:

# %%
counts = {}
for precision in ("float32", "bfloat16"):
    prepared = prepare(params, config, precision=precision)
    for platform in ("cpu", "cuda", "tpu"):
        step = named_step(prepared, config, HEIGHT, WIDTH, platforms=[platform], streams=1)
        text = lowered_text(step, platform)
        counts[platform, precision] = operations(text)
        total = sum(counts[platform, precision].values())
        print(f"{platform:5s} {precision:9s} {total:5d} operations, custom calls: {dict(custom_calls(text)) or 'none'}")

kinds = [kind for kind, _ in counts["cpu", "float32"].most_common(12)]
fig, ax = plt.subplots(figsize=(9, 4), layout="constrained")
for place, (name, found) in enumerate(counts.items()):
    at = np.arange(len(kinds)) + (place - 2.5) * 0.13
    ax.bar(at, [found[kind] for kind in kinds], 0.13, label=", ".join(name))
ax.set_xticks(range(len(kinds)), kinds, rotation=30, ha="right")
ax.set_ylabel("how often")
ax.legend(fontsize=8, ncols=2)
plt.show()

# %% [markdown]
# The CPU's has about twice as many: XLA is slow at depthwise convolutions there, so they are written out as sums of
# shifted products (`dvsnet_jax.ops.depthwise`). The choice is made at lowering, once for each platform. With no custom
# call, nothing in the programs hangs on a library of one platform.
#
# The router is a `while`: it takes the regions that were chosen one chunk after another, and that is why time follows
# their number on every platform. `python eval/portability.py` prints all this as one table, with memory, and for the
# platforms that are here also times and agreement with float32 on a CPU.
#
# On the command line: `dvsnet export street.dvsnet --size 128x256`, then
# `dvsnet segment drive.mp4 --program street.dvsnet --out segmented`.
