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
# # From transformers to a faster video in ten lines
#
# A team has a trained network of [transformers](https://huggingface.co/docs/transformers): exact, and too slow for
# every frame. DVSNet takes it as it is for the segmentation path (section 3 of the
# [paper](https://openaccess.thecvf.com/content_cvpr_2018/papers/Xu_Dynamic_Video_Segmentation_CVPR_2018_paper.pdf)) and
# warps its scores in between. Here that is done with a small SegFormer, made on the spot so that nothing is downloaded;
# yours is `SegformerForSemanticSegmentation.from_pretrained("nvidia/segformer-b5-finetuned-cityscapes-1024-1024")`.
# It needs `pip install 'dvsnet-jax[torch]'`.

# %%
import json
import os
import tempfile
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
import torch
import transformers

from dvsnet_jax import CarriedMotionConfig, FixedInterval, ImageInput, init_state, segment_clip, visualize
from dvsnet_jax.benchmarks.exported_program import read_clip
from dvsnet_jax.checkpoints import load_bundled, open_network
from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.street.sources import StreetFrames
from dvsnet_jax.networks import merge_classes
from dvsnet_jax.training.own_network import in_place_of

transformers.utils.logging.disable_progress_bar()
HEIGHT, WIDTH, FRAMES = 128, 256, 12
video = Path(os.environ["DVSNET_DATA"]) / "video" / "highway_960x540.mp4" if "DVSNET_DATA" in os.environ else None
clip = read_clip(video, (HEIGHT, WIDTH), frames=FRAMES)
print("clip:", clip.dtype, clip.shape, "(time, streams, height, width, RGB)")

# %% [markdown]
# ## A network, in PyTorch
#
# A SegFormer of a tenth of B0's size, trained for half a minute on drawn streets that are not the clip's. Nothing of
# this is DVSNet's, and a network of your own has it behind it.

# %%
torch.manual_seed(0)
model = transformers.SegformerForSemanticSegmentation(
    transformers.SegformerConfig(
        hidden_sizes=[16, 32, 64, 96], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 3], decoder_hidden_size=64,
        id2label=dict(enumerate(CLASSES)), label2id={name: label for label, name in enumerate(CLASSES)},
    )
)  # fmt: skip
wanted = ImageInput.imagenet()
scenes = [StreetFrames(24, HEIGHT, WIDTH, seed=1)[index] for index in range(24)]
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)


def as_wanted(images):
    """RGB 0..255 to what the network was made for: 0..1, less the mean, by the deviation."""
    pixels = (torch.as_tensor(np.stack(images)) / 255 - torch.tensor(wanted.mean)) / torch.tensor(wanted.deviation)
    return pixels.permute(0, 3, 1, 2)


for step in range(60):
    drawn = [scenes[index] for index in torch.randint(len(scenes), (2,)).tolist()]
    labels = torch.as_tensor(np.stack([each.labels for each in drawn])).long()
    loss = model(pixel_values=as_wanted([each.image for each in drawn]), labels=labels).loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        print(f"step {step + 1}: loss {loss.item():.2f}")
model.eval()

folder = tempfile.TemporaryDirectory()
place = Path(folder.name) / "segformer"
model.save_pretrained(place)
(place / "preprocessor_config.json").write_text(
    json.dumps({"image_mean": wanted.mean, "image_std": wanted.deviation, "rescale_factor": 1 / 255})
)
print("saved:", *sorted(file.name for file in place.iterdir()))

# %% [markdown]
# ## The ten lines
#
# Motion is searched for inside the step, and every fourth frame is segmented; the policy's number is an argument of the
# program, so other intervals compile nothing.

# %%
network = open_network(str(place))  # or "hf:ORG/NAME"
_, config = load_bundled("carried")
config = config.replace(flow=CarriedMotionConfig(searched=True), policy=FixedInterval(4))
params, config = in_place_of(network.function, network.params, {}, config)
state = init_state(params, clip[0], config=config)
state, results = segment_clip(params, state, clip, config=config)

labels, segmented = np.asarray(results.labels[:, 0]), np.asarray(results.segmented[:, 0])
print("labels", labels.shape, "frames segmented:", np.flatnonzero(segmented.all(1)).tolist())

# %% [markdown]
# ## Is it the same network?
#
# The first frame through PyTorch itself, whole, its scores enlarged as transformers does. DVSNet cuts the frame into
# regions that overlap, so near their borders the network sees less around a pixel.

# %%
with torch.inference_mode():
    logits = model(as_wanted(clip[0])).logits
    theirs = torch.nn.functional.interpolate(logits, (HEIGHT, WIDTH), mode="bilinear").argmax(1)[0].numpy()
print(f"the same label: {(labels[0] == theirs).mean():.1%} of the pixels")

palette = visualize.label_palette(config.num_classes)
fig, axes = plt.subplots(1, 3, figsize=(12, 2.4), layout="constrained")
for ax, picture, title in zip(
    axes, (clip[0, 0], palette[theirs], palette[labels[0]]), ("frame 0", "PyTorch", "DVSNet"), strict=True
):
    ax.imshow(picture)
    ax.set_title(title)
    ax.axis("off")
plt.show()

# %% [markdown]
# ## What it costs, what it keeps
#
# The network itself on every frame is what everything is held against: no labels are needed for that.

# %%
kept = {}
for interval in (1, 2, 4, 8):
    policy = FixedInterval(interval)
    state = init_state(params, clip[0], config=config.replace(policy=policy))
    _, found = segment_clip(params, state, clip, config=config.replace(policy=policy))
    kept[interval] = np.asarray(found.labels[:, 0]), np.asarray(found.segmented).mean()
whole = kept[1][0]
fig, ax = plt.subplots(figsize=(9, 3), layout="constrained")
for interval, (found, share) in kept.items():
    same = 100 * (found == whole).mean((1, 2))
    ax.plot(same, marker=".", label=f"every {interval}: {share:.0%} of regions, {same.mean():.1f} % kept")
ax.set(xlabel="frame", ylabel="pixels as the network has them, %")
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## Other classes
#
# Classes can be merged inside the network, so that the warp and the decision see them so. Here what can be driven on,
# what moves, and void for all else; `--classes cityscapes` does it by names, for networks of ADE20K or Mapillary.

# %%
groups = {"road": 0, "car": 1, "truck": 1, "bus": 1, "person": 1, "rider": 1, "bicycle": 1, "motorcycle": 1}
two = merge_classes(network.function, [groups.get(name, 255) for name in CLASSES], ("way", "traffic"))
scores = jax.jit(two.function)(network.params, clip[0].astype(np.float32))  # void's come last
found, counts = np.unique(np.asarray(scores.argmax(-1)), return_counts=True)
for label, count in zip(found.tolist(), counts.tolist(), strict=True):
    print(f"{(*two.classes, 'void')[label]:8s} {count / counts.sum():.1%}")

# %% [markdown]
# ## From here
#
# A fixed interval does not look at the video. `dvsnet accelerate` trains what decides, from video without labels, and
# measures what is kept:
#
#     dvsnet accelerate --data video:drive.mp4 --segmentation segformer/ --save-dir run --keep 0.98
#     dvsnet segment other.mp4 --weights run/weights --keep 0.98 --out segmented
#     dvsnet export fast.dvsnet --weights run/weights --size 720x1280      # then runs without PyTorch
