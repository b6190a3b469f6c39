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
# # Optical flow: correlation step by step, and the FlowNet2 family
#
# Warping needs to know where everything came from: *optical flow*, a vector (x, y) in pixels for every pixel. The
# networks here are those of [FlowNet](https://arxiv.org/abs/1504.06852) (Dosovitskiy et al., ICCV 2015) and
# [FlowNet 2.0](https://arxiv.org/abs/1612.01925) (Ilg et al., CVPR 2017), and the small FlowNet2-s of DVSNet. We look
# at true flow, build by hand what FlowNetC's correlation layer does, and then walk through the family.

# %%
import os
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from dvsnet_jax import FlowNet2Config, networks
from dvsnet_jax.benchmarks.multiply_adds import flow_cost
from dvsnet_jax.checkpoints import load_bundled
from dvsnet_jax.datasets.street.scene import StreetScene
from dvsnet_jax.flow import init_flow_params
from dvsnet_jax.flow_colors import flow_to_rgb, wheel_legend
from dvsnet_jax.flownet_config import FLOW_NETWORKS
from dvsnet_jax.media.flow_files import read_flo
from dvsnet_jax.media.images import read_image
from dvsnet_jax.metrics.flow import endpoint_error
from dvsnet_jax.networks.flownet.flownet2 import pair_flow
from dvsnet_jax.ops.correlation import correlation
from dvsnet_jax.ops.flow_warp import flow_warp

# %% [markdown]
# ## A pair whose flow is known
#
# Two frames of a drawn drive (with `DVSNET_DATA`: a pair with true flow from there). The drawing knows where each pixel
# of the first picture is in the second, and which pixels the second one shows at all.

# %%
if "DVSNET_DATA" in os.environ:
    folder = Path(os.environ["DVSNET_DATA"]) / "flow"
    first, second = (read_image(folder / f"pair2_img{i}.png") for i in (1, 2))
    truth = read_flo(folder / "pair2_flow.flo")
    visible = np.ones(truth.shape[:2], bool)
else:
    scene = StreetScene(8, 256, 512, frames=10)
    first, second = scene.draw(6)[0], scene.draw(4)[0]  # as DVSNet warps: from the current frame to an older one
    truth, visible = scene.flow(6, 4)
length = np.hypot(*np.moveaxis(truth, -1, 0))
longest = float(np.percentile(length, 99))
print(f"flow is {truth.dtype} {truth.shape}; mean length {length.mean():.1f} px, 99 % below {longest:.1f} px")

fig, axes = plt.subplots(1, 3, figsize=(12, 2.6), width_ratios=(2, 2, 1), layout="constrained")
axes[0].imshow(first)
axes[0].set_title("first")
axes[1].imshow(flow_to_rgb(truth, longest))
axes[1].set_title("true flow, first → second")
axes[2].imshow(wheel_legend(128))
axes[2].set_title("colour of a direction")
for ax in axes:
    ax.axis("off")
plt.show()

# %% [markdown]
# ## Warping
#
# To warp is to fetch: pixel (x, y) of the result is what the *second* picture has at (x, y) + flow. With the true flow
# it is the first picture again, but for what the second one does not show. What is left is the *brightness error*. It
# needs no truth, and every network of the family that sits on top of another is given it.

# %%
pair = [jnp.asarray(image, jnp.float32)[None] for image in (first, second)]
warped = np.asarray(flow_warp(pair[1], jnp.asarray(truth)[None], outside="border"))[0]
error = np.abs(warped - first).mean(-1)
still = np.abs(second.astype(float) - first).mean(-1)
fig, axes = plt.subplots(1, 3, figsize=(12, 2.5), layout="constrained")
axes[0].imshow(warped.astype(np.uint8))
axes[0].set_title("second, warped by the true flow")
for ax, values, title in ((axes[1], error, "brightness error"), (axes[2], still, "without warping")):
    ax.imshow(values, cmap="gray", vmin=0, vmax=60)
    ax.set_title(f"{title}: mean {values[visible].mean():.1f}")
for ax in axes:
    ax.axis("off")
plt.show()

# %% [markdown]
# ## Correlation, one number
#
# How can a network find such vectors? FlowNetC compares *features*. Take the feature vector at one place of the first
# map and the one a displacement further in the second; the mean of their products is large if they are alike. That is
# one number of the correlation layer. Features here: what is left of the pictures without their local mean, at a
# quarter of the size, each 5×5 patch one vector.


# %%
def features(image):
    """Unit-variance patches of 5×5 pixels, at a quarter of the size: [h/4, w/4, 75]."""
    h, w = image.shape[0] // 4 * 4, image.shape[1] // 4 * 4
    small = image[:h, :w].astype(np.float32).reshape(h // 4, 4, w // 4, 4, 3).mean((1, 3))
    padded = np.pad(small, ((2, 2), (2, 2), (0, 0)), mode="edge")
    patches = np.concatenate([padded[i : i + h // 4, j : j + w // 4] for i in range(5) for j in range(5)], -1)
    patches -= patches.mean(-1, keepdims=True)
    return patches / (np.linalg.norm(patches, axis=-1, keepdims=True) / np.sqrt(patches.shape[-1]) + 1e-3)


a, b = (features(image).astype(np.float32) for image in (first, second))
REACH = 12
y, x = np.unravel_index(np.where(visible, length, 0)[::4, ::4][: a.shape[0], : a.shape[1]].argmax(), a.shape[:2])
y, x = (int(np.clip(v, REACH, s - REACH - 1)) for v, s in ((y, a.shape[0]), (x, a.shape[1])))
one = (a[y, x] * b[y + 2, x - 3]).mean()
print(f"at ({x}, {y}), displacement (-3, +2): {one:.4f}")

# %% [markdown]
# ## Correlation, all displacements of one place
#
# The layer does that for every displacement up to `max_displacement`, in steps of `stride_2`. By hand, in two loops:

# %%
steps = range(-REACH, REACH + 1)
by_hand = np.array([[(a[y, x] * b[y + dy, x + dx]).mean() for dx in steps] for dy in steps])

volume = np.asarray(correlation(a[None], b[None], max_displacement=REACH, padding=REACH, stride_2=1))[0]
print("correlation:", volume.shape, "with", len(steps) ** 2, "displacements, that along x the fast one")
np.testing.assert_allclose(volume[y, x].reshape(by_hand.shape), by_hand, atol=1e-5)
print("equal to the two loops")

best = np.unravel_index(by_hand.argmax(), by_hand.shape)
found, true = np.array(best[::-1]) - REACH, truth[4 * y + 2, 4 * x + 2] / 4
fig, ax = plt.subplots(figsize=(5, 4.2), layout="constrained")
image = ax.imshow(by_hand, extent=(-REACH - 0.5, REACH + 0.5, REACH + 0.5, -REACH - 0.5), cmap="viridis")
ax.plot(*found, "wo", markerfacecolor="none", ms=14, label=f"highest ({found[0]:+d}, {found[1]:+d})")
ax.plot(*true, "r+", ms=14, mew=2, label=f"true ({true[0]:+.1f}, {true[1]:+.1f})")
ax.set(xlabel="dx, pixels of the grid", ylabel="dy", title=f"place ({x}, {y})")
ax.legend(loc="upper left", fontsize=9)
fig.colorbar(image, ax=ax, label="correlation")
plt.show()

# %% [markdown]
# ## Flow by taking the highest
#
# The simplest decoder: at each place the displacement that correlates best. FlowNetC learns one instead, 21 layers
# that know about smoothness, edges and places where every patch looks alike.

# %%
index = volume.argmax(-1)
matched = 4 * np.stack([index % len(steps) - REACH, index // len(steps) - REACH], -1).astype(np.float32)
coarse = truth[2::4, 2::4][: matched.shape[0], : matched.shape[1]]
seen = visible[2::4, 2::4][: matched.shape[0], : matched.shape[1]]

params, config = load_bundled()
bundled = np.asarray(networks.full_size_flow(params["flow"], first[None], second[None], config.flow))[0]
print(f"no flow at all:          {endpoint_error(np.zeros_like(truth), truth, visible):5.2f} px mean endpoint error")
print(f"highest correlation:     {endpoint_error(matched, coarse, seen):5.2f} px ", end="")
near = np.hypot(*np.moveaxis(matched - coarse, -1, 0)) <= 4
print(f"({near[seen].mean():.0%} of places within a grid step, 4 px)")
print(f"bundled FlowNet2-s:      {endpoint_error(bundled, truth, visible):5.2f} px")

fig, axes = plt.subplots(1, 3, figsize=(12, 2.5), layout="constrained")
for ax, flow, title in zip(axes, (truth, matched, bundled), ("true", "highest correlation", "bundled"), strict=True):
    ax.imshow(flow_to_rgb(flow, longest))
    ax.set_title(title)
    ax.axis("off")
plt.show()

# %% [markdown]
# On the drawn pair most places are right to a grid step, and yet the mean error is no better than no flow at all: in
# the sky and on the road, where nearly three quarters of the wrong places are, a patch looks like its neighbours, and
# what is taken there may be anything.
#
# ## Correlation as matrix products
#
# The layer's cost is all those displacements. The plain way takes one product of the whole maps for each (`shifted`).
# The `banded` form sets a row of places of the first map against all columns within reach in the second, as *one*
# matrix product; what is wanted of it is a diagonal band. It computes more and is faster, as matrix units like it so.

# %%
tile = a[y, :32]
product = tile @ b[y, : 32 + REACH].T / a.shape[-1]
rows, columns = np.indices(product.shape)
band = np.where(np.abs(columns - rows) <= REACH, product, np.nan)
fig, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for ax, values, title in ((axes[0], product, "one matrix product"), (axes[1], band, "the band that is wanted")):
    ax.imshow(values, cmap="viridis")
    ax.set(title=title, xlabel="column in the second map", ylabel="column in the first")
plt.show()

big = jax.random.normal(jax.random.key(0), (2, 1, 48, 64, 256))  # as FlowNetC has it for images of 384×512
timed = {}
for form in ("shifted", "banded"):
    layer = jax.jit(lambda a, b, form=form: correlation(a, b, form=form))
    timed[form] = np.asarray(layer(*big))
    began = time.perf_counter()
    for _ in range(5):
        layer(*big).block_until_ready()
    print(f"{form}: {(time.perf_counter() - began) / 5 * 1000:.0f} ms, output {timed[form].shape[1:]}")
np.testing.assert_allclose(timed["banded"], timed["shifted"], atol=1e-5)

# %% [markdown]
# ## The family
#
# * **S** reads both pictures stacked; **C** compares features by correlation.
# * **CS**, **CSS**: another S on top gets both pictures, the second one *warped* by the flow so far, that flow, and the
#   brightness error, and mends what is still wrong.
# * **SD** is for small displacements; **FlowNet2** fuses CSS and SD.

# %%
print(f"{'':12s}{'parameters':>12s}{'multiply-adds, 384×512':>26s}")
for network in FLOW_NETWORKS:
    cost = flow_cost(FlowNet2Config(network=network), 384, 512)
    print(f"{network:12s}{cost.parameters / 1e6:10.1f} M{cost.multiply_adds / 1e9:24.1f} G")

# %% [markdown]
# The weights that circulate are NVIDIA's, which the package must not pass on. Download one, import it, and name the
# folder here: `dvsnet import FlowNet2-CS_checkpoint.pth.tar flownet2-cs --network FlowNetCS`. Without it the network
# below has random weights and an eighth of its width: its flow means nothing, but every intermediate is there by its
# name in the original, and the wiring can be looked at.

# %%
WEIGHTS = None  # "flownet2-cs"
if WEIGHTS:
    from dvsnet_jax.checkpoints import load_flow

    family, family_config = load_flow(WEIGHTS)
else:
    family_config = FlowNet2Config(network="FlowNetCS", width=1 / 8)
    family = init_flow_params(jax.random.key(0), family_config)
flow, seen = jax.jit(pair_flow, static_argnames="config")(family, first[None], second[None], config=family_config)
for name in ("images", "FlowNetC/conv_a_3", "FlowNetC/correlation", "FlowNetC/predict_flow6", "FlowNetC/predict_flow2",
             "flow", "warped", "stacked", "FlowNetS/predict_flow2"):  # fmt: skip
    print(f"{name:24s} {seen[name].shape}")
print(f"{'flow out':24s} {flow.shape}")

# %% [markdown]
# From top to bottom: both pictures; features at an eighth; 21 × 21 displacements; the first, coarsest guess at 1⁄64;
# the last one at a quarter. Then what goes over to the S on top: flow at full size, the warped picture, and twelve
# channels in all (3 + 3 + 3 + 2 + 1). `dvsnet_jax.estimate_flow(params, first, second, config=…)` is the whole of it
# in one call, and `dvsnet flow` on the command line.
#
# **Next:** [training a decision network](05_training_a_decision_network.ipynb).
