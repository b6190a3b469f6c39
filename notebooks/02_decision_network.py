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
# # What the decision network sees
#
# Before a region is warped, a tiny network says which share of its pixels will get the label that segmenting would
# give: the *expected confidence score* (section 3.4 of the
# [paper](https://openaccess.thecvf.com/content_cvpr_2018/papers/Xu_Dynamic_Video_Segmentation_CVPR_2018_paper.pdf)).
# Here we take pairs of frames, do both, and hold what was foretold against what happened: first for one region, cell by
# cell, then for many pairs, and at last where the network was most wrong.

# %%
import os

import jax
import matplotlib.pyplot as plt
import numpy as np

from dvsnet_jax import networks, visualize
from dvsnet_jax.checkpoints import load_bundled
from dvsnet_jax.datasets.clips import clip_set
from dvsnet_jax.datasets.street.scene import StreetScene
from dvsnet_jax.metrics.calibration import bins, line_through, mean_absolute_error, rank_correlation
from dvsnet_jax.ops.warp_cues import CUES
from dvsnet_jax.training.decision.examples import pair_samples

params, config = load_bundled()
palette = visualize.label_palette(config.num_classes)
count = sum(leaf.size for leaf in jax.tree.leaves(params["decision"]))
print(config.decision, f"with {count:,} parameters")

# %% [markdown]
# ## Pairs of frames
#
# Four drawn drives, ten frames each (with `DVSNET_DATA`: four stretches of CamVid's validation drive). From each drive
# we take pairs of a key frame and a frame 1 to 9 frames later.

# %%
if "DVSNET_DATA" in os.environ:
    (drive,) = clip_set(f"camvid:{os.environ['DVSNET_DATA']}/camvid:val")
    clips = [np.stack([drive[first + i].image for i in range(10)]) for first in (0, 30, 60, 90)]
else:
    clips = [np.stack([scene.draw(i)[0] for i in range(10)]) for seed in (5, 8, 13, 21)
             for scene in [StreetScene(seed, 256, 512, frames=10)]]  # fmt: skip

distances = np.array([1, 2, 3, 5, 7, 9])
samples = []
for clip in clips:
    keys, currents = np.repeat(clip[:1], len(distances), axis=0), clip[distances]
    samples.append(jax.device_get(pair_samples(params, keys, currents, config=config)))
print(f"{len(clips)} drives × {len(distances)} distances × {config.num_regions} regions")
print("labels of one batch:", samples[0].warped.shape, " what the network reads:", samples[0].feature.shape)

# %% [markdown]
# ## One region: what happened
#
# `pair_samples` both segments the later frame and warps the key frame's scores to it. The true agreement is the share
# of pixels where the two give the same label; labels made by hand play no part.

# %%
REGION = 3  # below right, where the road comes towards us
pair = 5  # of the first drive: nine frames apart
at = pair * config.num_regions + REGION
one = samples[0]
differs = one.warped[at] != one.segmented[at]

fig, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
axes[0].imshow(palette[one.segmented[at]])
axes[0].set_title("segmented anew")
axes[1].imshow(palette[one.warped[at]])
axes[1].set_title(f"warped over {distances[pair]} frames")
axes[2].imshow(differs, cmap="gray_r")
axes[2].set_title(f"different: {differs.mean():.1%} of pixels")
for ax in axes:
    ax.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## What the network reads
#
# Not the pictures: a grid of 16×16 cells with eleven *cues* of the warp, each cheap to get, as the warp is computed
# anyway. `dvsnet_jax.ops.warp_cues` says where each comes from. (The paper's decision network reads deep features of
# the flow network instead; `DecisionConfig` is that one.)

# %%
cues = one.feature[at]
fig, axes = plt.subplots(2, 6, figsize=(11, 4.1), layout="constrained")
for ax, name, cue in zip(axes.flat, CUES, np.moveaxis(cues, -1, 0), strict=False):
    ax.imshow(cue, cmap="viridis")
    ax.set_title(f"{name}\n{cue.min():.2f} to {cue.max():.2f}", fontsize=9)
axes.flat[-1].imshow(differs, cmap="gray_r", aspect=differs.shape[1] / differs.shape[0])
axes.flat[-1].set_title("(what differed)", fontsize=9)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## What it foretells, cell by cell
#
# The bundled network says for every cell which share of it will agree; the score is the mean of that. Next to it, the
# truth in the same cells. `networks.decision_network` gives the module, and a module gives its activations by name.

# %%
network = networks.decision_network(config.decision)


@jax.jit
def foretell(cues):
    """Scores, percent [n], and the expected agreement of each cell [n, 16, 16]."""
    score, seen = network.apply({"params": params["decision"]}, cues)
    return score, seen["agreement"]


def in_cells(values):
    """Means of a region's pixels in 16×16 cells: [h, w] to [16, 16]."""
    rows, columns = (np.linspace(0, size, 17).astype(int)[:-1] for size in values.shape)
    sums = np.add.reduceat(np.add.reduceat(values.astype(float), rows, 0), columns, 1)
    return sums / np.add.reduceat(np.add.reduceat(np.ones(values.shape), rows, 0), columns, 1)


score, cells = (np.asarray(part[0]) for part in foretell(one.feature[at : at + 1]))
truth = in_cells(~differs)
fig, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
for ax, grid, title in (
    (axes[0], cells, f"foretold: {score:.1f} %"),
    (axes[1], truth, f"true: {one.confidence[at]:.1f} %"),
):
    image = ax.imshow(100 * grid, cmap="magma", vmin=0, vmax=100)
    ax.set_title(title)
    ax.set(xticks=[], yticks=[])
fig.colorbar(image, ax=axes, label="agreement, %")
plt.show()
print(f"correlation over the cells: {np.corrcoef(cells.ravel(), truth.ravel())[0, 1]:.2f}")

# %% [markdown]
# It finds where, not only how much: the dark cells of one picture tend to be those of the other. On the drawn street
# it also suspects the rim of the region. At the bottom the flow leads out of what the key frame shows (the cue
# *outside*). At the top and on the right it does not, but the first convolution sees zeros past the rim: with the
# rim's own cues repeated there instead, more agreement is expected.
#
# ## All pairs: score against true agreement

# %%
true = np.concatenate([each.confidence for each in samples])
flow = np.concatenate([each.flow_magnitude for each in samples])
copied = np.concatenate([each.copied for each in samples])
scores = np.concatenate([np.asarray(foretell(each.feature)[0]) for each in samples])
apart = np.tile(np.repeat(distances, config.num_regions), len(clips))
which = np.repeat(np.arange(len(clips)), len(distances) * config.num_regions)

fig, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
limits = [min(true.min(), scores.min()) - 2, 101]
dots = axes[0].scatter(scores, true, c=apart, cmap="viridis", s=22)
axes[0].plot(limits, limits, color="gray", lw=1)
axes[0].set(xlim=limits, ylim=limits, xlabel="expected confidence score, %", ylabel="true agreement, %",
            title="each dot a region of a pair")  # fmt: skip
fig.colorbar(dots, ax=axes[0], label="frames apart")
groups = bins(scores, true, 8)
axes[1].plot(limits, limits, color="gray", lw=1)
axes[1].plot([group.predicted for group in groups], [group.true for group in groups], "o-")
axes[1].set(xlim=limits, ylim=limits, xlabel="mean score of a bin, %", ylabel="mean true agreement, %",
            title="calibration: eight bins of equally many")  # fmt: skip
plt.show()

# %% [markdown]
# Is that good? Two simple guesses to beat: the mean of all samples, and a straight line on the length of the flow,
# "the more it moves, the worse". Both are fitted to these very samples, which is more than the network was allowed.

# %%
slope, offset = line_through(flow, true)
guesses = {
    "decision network": scores,
    "mean of these samples": np.full(len(true), true.mean()),
    "line on flow magnitude": slope * flow + offset,
}
print(f"{'':24s}  mean error  rank correlation")
for name, guess in guesses.items():
    rank = rank_correlation(guess, true)
    print(f"{name:24s}  {mean_absolute_error(guess, true):7.2f}     {'–' if rank is None else f'{rank:8.2f}'}")

# %% [markdown]
# On the drawn drives the line has the smaller error and the network the better order. The network has never seen a
# drawn street in its training, and its scale is off there: high scores are a few points too high, low ones too low. A
# policy needs mostly the order, which region loses most, and that is what rank correlation measures. On the video that
# it was made for it is ahead in both by far (0.90 against 0.46, [model card](../docs/model_card.md)).
#
# Agreement sinks with the distance. Warping keeps more of it than copying the old labels would, the more so the
# farther apart; one frame apart the two are about alike.

# %%
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for name, values in (("warped", true), ("foretold", scores), ("copied", copied)):
    ax.plot(distances, [values[apart == each].mean() for each in distances], "o-", label=name)
ax.set(xlabel="frames since the key frame", ylabel="mean agreement, %", ylim=(None, 100), xticks=distances)
ax.legend()
plt.show()

# %% [markdown]
# ## When it is wrong
#
# A score that is too *high* costs accuracy: a bad warp goes through. One that is too *low* costs time: a region is
# segmented for nothing. The worst of each kind among these samples:

# %%
error = scores - true
shape = differs.shape[0] / differs.shape[1]
fig, axes = plt.subplots(2, 4, figsize=(12, 4.6), layout="constrained")
for row, index, kind in ((axes[0], error.argmax(), "too high"), (axes[1], error.argmin(), "too low")):
    sample, within = samples[which[index]], index % len(samples[0].confidence)
    wrong = sample.warped[within] != sample.segmented[within]
    _, cells = foretell(sample.feature[within : within + 1])
    row[0].imshow(palette[sample.segmented[within]])
    row[0].set_ylabel(f"{kind}: {scores[index]:.0f} for {true[index]:.0f} %")
    row[1].imshow(palette[sample.warped[within]])
    row[2].imshow(in_cells(wrong), cmap="magma", vmin=0, vmax=1, aspect=shape)
    row[3].imshow(1 - np.asarray(cells[0]), cmap="magma", vmin=0, vmax=1, aspect=shape)
for ax, title in zip(axes[0], ("segmented anew", "warped", "differs", "expected to differ"), strict=True):
    ax.set_title(title)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
plt.show()
print(f"errors of more than 5 points: {np.mean(error > 5):.0%} too high, {np.mean(error < -5):.0%} too low")

# %% [markdown]
# Compare the two pictures on the left of each row with the two on the right. Two things are beyond any cue of the
# warp. Where the *segmentation itself* changes its mind (on the drawn street above, a surface that was building is
# traffic sign one frame later), warping is blamed for a difference that it did not make, and hardly anything in the
# warp shows it. And a thing that was not in the key frame has nothing it could be warped from; the cues show the
# misfit, but not what it is.
#
# ## A cut
#
# The clearest case: the key frame is of another street. Nothing can be warped, and the score must say so.

# %%
other = clips[1]
cut = jax.device_get(pair_samples(params, np.repeat(other[:1], 6, 0), clips[0][distances], config=config))
cut_scores = np.asarray(foretell(cut.feature)[0])
print(f"across a cut: score {cut_scores.mean():.0f} %, true agreement {cut.confidence.mean():.0f} %")
print(f"within a drive: score {scores.mean():.0f} %, true agreement {true.mean():.0f} %")

# %% [markdown]
# On the drawn streets the score is too low, as some sky and road are where they were on the other street; but that
# hardly matters: any sensible target is above both, and the region is segmented.
#
# **Next:** [which target to choose](03_choosing_a_target.ipynb), and
# [training a decision network](05_training_a_decision_network.ipynb) of one's own.
