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
# # Quick start: your own video
#
# A segmentation network says for every pixel of a picture what it belongs to: road, car, sky. Run on every frame of a
# video it does nearly the same work again and again, because neighbouring frames are nearly the same. DVSNet
# ([Xu et al., CVPR 2018](https://openaccess.thecvf.com/content_cvpr_2018/papers/Xu_Dynamic_Video_Segmentation_CVPR_2018_paper.pdf),
# section 3) cuts a frame into regions and takes for each the cheaper of two paths that will do:
#
# * the **segmentation path** segments the region anew, which is slow and right;
# * the **warping path** moves the region's last segmentation to where things are now, which is fast and nearly right.
#
# A tiny *decision network* says beforehand how right "nearly" will be. This notebook runs it all on a video.

# %%
import json
import os
import tempfile
import time
from contextlib import closing
from itertools import islice
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from dvsnet_jax import FixedInterval, init_state, prepare, segment_frame, visualize
from dvsnet_jax.checkpoints import load_bundled
from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.street.scene import draw_street
from dvsnet_jax.inference.segment_source import Segmenter, segment_source
from dvsnet_jax.media.output_folder import OutputFolder
from dvsnet_jax.media.sources import open_source
from dvsnet_jax.media.video_writer import VideoWriter

folder = tempfile.TemporaryDirectory()  # what this notebook writes; gone when it is closed

# %% [markdown]
# ## The video
#
# Put the path of your own video here: a file, a folder of images, a camera. Without one the notebook draws a short
# drive through a street, so that it runs anywhere.

# %%
VIDEO = None  # "drive.mp4"
FRAMES = 24  # how many of its frames to look at

if VIDEO is None and "DVSNET_DATA" in os.environ:
    VIDEO = Path(os.environ["DVSNET_DATA"]) / "video" / "highway_960x540.mp4"
if VIDEO is None:
    VIDEO = Path(folder.name) / "street.mp4"
    with VideoWriter(VIDEO, frame_rate=10) as video:
        for frame in draw_street(seed=5, frames=FRAMES).frames:
            video.write(frame)

source = open_source(VIDEO)
with closing(source.frames()) as decoded:
    frames = [frame.image for frame in islice(decoded, FRAMES)]
height, width, _ = frames[0].shape
print(f"{len(frames)} frames of {height}×{width}, uint8 RGB")

# %% [markdown]
# ## The weights
#
# The package comes with small weights for streets by day, in Cityscapes' 19 classes; their
# [model card](../docs/model_card.md) says what they were trained on. `config` is everything that decides what is
# computed: the networks, the regions, and the *policy*, the rule that picks the path. `prepare` folds what is constant
# at inference into the convolutions: the same labels up to rounding, sooner.

# %%
loaded, config = load_bundled()
params = prepare(loaded, config)
print("regions:", config.regions, "with an overlap of", config.overlap, "pixels")
print("policy: ", config.policy)

# %% [markdown]
# ## One frame
#
# Video is `[streams, height, width, 3]`: one video is one stream, so a frame gets a leading axis. `init_state`
# makes what is carried from frame to frame; `segment_frame` takes a frame and gives labels. The first call compiles it.

# %%
state = init_state(params, frames[0][None], config=config)
began = time.perf_counter()
state, result = segment_frame(params, state, frames[0][None], config=config)
first_labels = np.asarray(result.labels[0])
print(f"compiled and run in {time.perf_counter() - began:.1f} s")
print("labels:   ", first_labels.dtype, first_labels.shape)
print("segmented:", np.asarray(result.segmented[0]))

# %% [markdown]
# Nothing can be warped yet, so every region was segmented. `visualize` lays the labels' colours over the picture:

# %%
palette = visualize.label_palette(config.num_classes)
counts = np.bincount(first_labels.ravel(), minlength=len(CLASSES))
most = [label for label in np.argsort(-counts)[:8] if counts[label]]

fig, axes = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
axes[0].imshow(frames[0])
axes[0].set_title("first frame")
axes[1].imshow(visualize.overlay(frames[0], first_labels, palette))
axes[1].set_title("its labels")
for ax in axes:
    ax.axis("off")
patches = [plt.Rectangle((0, 0), 1, 1, color=palette[label] / 255) for label in most]
fig.legend(patches, [CLASSES[label] for label in most], loc="outside lower center", ncols=len(most), frameon=False)
plt.show()

# %% [markdown]
# ## The frames after it
#
# Each call takes the state that the last one gave. Its buffers are donated to the next step, so the old state is
# gone: always keep the new one.


# %%
def drive(config):
    """All frames in a row: results on the host, and the seconds of each but the first, which compiles."""
    state = init_state(params, frames[0][None], config=config)
    results, seconds = [], []
    for frame in frames:
        began = time.perf_counter()
        state, result = segment_frame(params, state, frame[None], config=config)
        results.append([np.asarray(field[0]) for field in result])  # waits for the device
        seconds.append(time.perf_counter() - began)
    return [np.stack(field) for field in zip(*results, strict=True)], np.array(seconds[1:])


(labels, scores, targets, segmented, _), seconds = drive(config)
print("time axis first:", labels.shape, scores.shape, segmented.shape)
print(f"regions segmented: {segmented.sum()} of {segmented.size} ({segmented.mean():.0%})")

# %% [markdown]
# Where did it segment? Below, each panel is a region, at its place in the frame. The blue line is the *expected
# confidence score*: which percentage of pixels the decision network expects to come out of warping as they would come
# out of segmenting. It sinks as the region's key frame, the one it was last segmented in, gets older. The dashed line
# is what the policy asks for; where the score is below it, the region is segmented (amber) and its key frame is new.
# The first frame is always segmented, and has no score to show.
# The bundled policy adds up what is expected to be lost, so it asks for more with every frame that was warped: each
# region has its turn, the sooner the worse it is warped. The paper's own policy (section 3.2) asks for the same score
# in every frame.

# %%
fig, axes = plt.subplots(*config.regions, figsize=(11, 4.4), sharex=True, sharey=True, layout="constrained")
time_axis = np.arange(len(frames))
for region, ax in enumerate(axes.flat):
    chosen = segmented[:, region]
    ax.plot(time_axis, scores[:, region], color="tab:blue", label="score")
    ax.plot(time_axis[1:], targets[1:, region], "--", color="gray", label="asked for")
    ax.plot(time_axis[chosen], scores[chosen, region], "o", color="#ffb000", markeredgecolor="k", label="segmented")
    ax.set_title(f"region {region}: {chosen.sum()} of {len(frames)} segmented", fontsize=10)
axes[0, 0].legend(fontsize=9, loc="lower right")
fig.supxlabel("frame")
fig.supylabel("percent")
plt.show()

# %% [markdown]
# The same in pictures: regions with an amber outline were segmented anew in this frame, those with a thin white one
# warped.

# %%
mixed = np.flatnonzero(segmented.any(1) & ~segmented.all(1))
shown = mixed[np.linspace(0, len(mixed) - 1, 2).astype(int)] if len(mixed) else [1, len(frames) - 1]
fig, axes = plt.subplots(1, 2, figsize=(11, 3), layout="constrained")
for ax, index in zip(axes, shown, strict=True):
    picture = visualize.overlay(frames[index], labels[index], palette)
    visualize.outline_regions(picture, segmented[index], config.regions)
    ax.imshow(picture)
    ax.set_title(f"frame {index}")
    ax.axis("off")
plt.show()

# %% [markdown]
# ## What did that save, and what did it cost?
#
# The baseline is every region of every frame segmented: the policy `FixedInterval(1)`. Another policy is another
# configuration, so it is compiled anew. Times are of this machine, with the step alone: no reading and no writing.

# %%
(every, *_), seconds_every = drive(config.replace(policy=FixedInterval(1)))
print(f"every frame segmented: {1000 * seconds_every.mean():5.0f} ms a frame (mean)")
print(f"DVSNet:                {1000 * seconds.mean():5.0f} ms a frame (mean)")
print(f"pixels labelled alike: {(labels == every).mean():.1%}")

# %% [markdown]
# "Alike" compares DVSNet with its own segmentation network, frame by frame. Whether either is *right* is another
# question, which needs labels by hand; [choosing a target](03_choosing_a_target.ipynb) comes to it.
#
# ## To files
#
# Day to day nobody writes this loop. `dvsnet segment drive.mp4 --out segmented` does it on the command line, and the
# same in Python reads, computes and writes side by side:

# %%
output = OutputFolder(
    Path(folder.name) / "segmented", palette=palette, frame_rate=source.frame_rate or 25, overwrite=True
)
summary = segment_source(source, Segmenter(loaded, config), output, num_frames=FRAMES)
print(f"{summary.frames} frames in {summary.seconds:.1f} s, of which the device worked {summary.device_seconds:.1f} s")
for path in sorted(output.folder.iterdir()):
    print(path.name, f"({len(list(path.iterdir()))} files)" if path.is_dir() else f"({path.stat().st_size:,} bytes)")

# %% [markdown]
# `labels` has train ids, `color` the same as colours, `overlay.mp4` is to look at, and `routes.jsonl` says which way
# each region went. `dvsnet-files.jsonl` says which files these are: with `overwrite` this cell can run again, in their
# place, and touches no others.

# %%
last = json.loads((output.folder / "routes.jsonl").read_text().splitlines()[-1])
print(last["name"])
for region in last["regions"]:
    print(region)

# %% [markdown]
# **Next:** [what the decision network sees](02_decision_network.ipynb), and
# [which target to choose](03_choosing_a_target.ipynb).
