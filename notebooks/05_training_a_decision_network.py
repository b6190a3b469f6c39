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
# # Training a decision network with Optax
#
# The decision network is trained last, when segmentation and flow network stand: on pairs of frames, to foretell how
# much of a warp will agree with segmenting (section 3.4 of the
# [paper](https://openaccess.thecvf.com/content_cvpr_2018/papers/Xu_Dynamic_Video_Segmentation_CVPR_2018_paper.pdf)).
# No labels are needed, only video. It is so small that it trains here in seconds, in an ordinary
# [Optax](https://optax.readthedocs.io) loop; at the end it is put to work.

# %%
import os
import time

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

from dvsnet_jax import networks
from dvsnet_jax.checkpoints import load_bundled
from dvsnet_jax.datasets.clips import clip_set
from dvsnet_jax.datasets.street.scene import StreetScene
from dvsnet_jax.metrics.calibration import line_through, mean_absolute_error, rank_correlation
from dvsnet_jax.ops.warp_cues import CUES
from dvsnet_jax.training.decision.examples import pair_samples

params, config = load_bundled()

# %% [markdown]
# ## Samples
#
# Many short drives, because neighbouring pairs of one drive teach nearly the same. Of each, one key frame and two later
# frames, 1 to 9 frames on; each pair gives four samples, one a region. The last drives are held out: regions of a drive
# that was trained on would flatter. (With `DVSNET_DATA`: stretches of CamVid, held out from another drive.)

# %%
DRIVES, HELD_OUT, SIZE = 24, 8, (128, 256)
rng = np.random.default_rng(0)


def drawn_pairs(drive):
    """A key frame and two later ones, uint8 RGB [3, h, w, 3]."""
    scene = StreetScene(1000 + drive, *SIZE, frames=10)
    return np.stack([scene.draw(int(i))[0] for i in (0, rng.integers(1, 5), rng.integers(5, 10))])


def real_pairs(drive, clips):
    """The same of a clip, at half size."""
    clip = clips[drive % len(clips)]
    first = int(rng.integers(len(clip) - 9))
    return np.stack([clip[first + int(i)].image[::2, ::2] for i in (0, rng.integers(1, 5), rng.integers(5, 10))])


began = time.perf_counter()
if "DVSNET_DATA" in os.environ:
    camvid = f"camvid:{os.environ['DVSNET_DATA']}/camvid"
    seen, unseen = ([clip for clip in clip_set(f"{camvid}:{split}") if len(clip) > 9] for split in ("train", "val"))
    triples = [real_pairs(i, unseen if i >= DRIVES - HELD_OUT else seen) for i in range(DRIVES)]
else:
    triples = [drawn_pairs(drive) for drive in range(DRIVES)]

features, confidence, motion = [], [], []
for key, *later in triples:
    made = jax.device_get(pair_samples(params, np.stack([key, key]), np.stack(later), config=config))
    features.append(made.feature)
    confidence.append(made.confidence)
    motion.append(made.flow_magnitude)
x, y, flow = (np.stack(part) for part in (features, confidence, motion))
print(f"{x.shape[0]} drives × {x.shape[1]} samples in {time.perf_counter() - began:.0f} s")

(x, y, flow), (vx, vy, vflow) = (
    [part[cut].reshape(-1, *part.shape[2:]) for part in (x, y, flow)]
    for cut in (slice(None, -HELD_OUT), slice(-HELD_OUT, None))
)
print("training:", x.shape, y.shape, " held out:", vx.shape)
print(f"agreement: {y.mean():.1f} ± {y.std():.1f} %, from {y.min():.0f} to {y.max():.0f} %")

# %% [markdown]
# ## The loss and the step
#
# The network is a flax module, its parameters a plain dict. The loss is the squared error of the score. The step is all
# of Optax that is needed: gradients, updates, apply.

# %%
network = networks.decision_network(config.decision)
optimizer = optax.adam(optax.exponential_decay(5e-3, transition_steps=50, decay_rate=0.8))


def loss_of(weights, features, confidence):
    score, _ = network.apply({"params": weights}, features)
    return jnp.square(score - confidence).mean()


@jax.jit
def step(weights, slots, features, confidence):
    loss, gradients = jax.value_and_grad(loss_of)(weights, features, confidence)
    updates, slots = optimizer.update(gradients, slots, weights)
    return optax.apply_updates(weights, updates), slots, loss


predict = jax.jit(lambda weights, features: network.apply({"params": weights}, features)[0])

# %% [markdown]
# ## The loop
#
# Fresh parameters, a few hundred steps. The held-out error is looked at after every epoch, and the best parameters are
# kept, as with so few samples the last are not always the best.

# %%
EPOCHS, BATCH = 60, 24
weights = networks.init_params(jax.random.key(0), config)["decision"]
slots = optimizer.init(weights)
losses, errors, best = [], [], (np.inf, weights)
began = time.perf_counter()
for _ in range(EPOCHS):
    order = rng.permutation(len(x))
    for batch in order[: len(x) // BATCH * BATCH].reshape(-1, BATCH):
        weights, slots, loss = step(weights, slots, x[batch], y[batch])
        losses.append(float(loss))
    errors.append(mean_absolute_error(np.asarray(predict(weights, vx)), vy))
    if errors[-1] < best[0]:
        best = errors[-1], weights
trained = best[1]
print(f"{len(losses)} steps in {time.perf_counter() - began:.0f} s")
print(f"best epoch: {int(np.argmin(errors)) + 1} of {EPOCHS}")
constant = mean_absolute_error(np.full(len(vy), y.mean()), vy)

fig, axes = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
axes[0].plot(np.sqrt(losses), lw=0.8)
axes[0].set(xlabel="step", ylabel="root of the batch's loss, points", ylim=(0, None))
axes[1].plot(range(1, EPOCHS + 1), errors)
axes[1].axhline(constant, color="gray", ls="--", label="mean of the training set")
axes[1].set(xlabel="epoch", ylabel="held-out mean error, points", ylim=(0, None))
axes[1].legend()
plt.show()

# %% [markdown]
# ## What it is worth
#
# Beside two guesses that need no network, and beside the bundled network, which was trained on real streets. As the
# epoch was chosen by these very samples, its row is a little flattered; with more data one would hold out twice.

# %%
slope, offset = line_through(flow, y)
guesses = {
    "trained here": np.asarray(predict(trained, vx)),
    "bundled": np.asarray(predict(params["decision"], vx)),
    "line on flow magnitude": slope * vflow + offset,
    "mean of the training set": np.full(len(vy), y.mean()),
}
print(f"{'held out':26s} mean error   rank correlation")
for name, guess in guesses.items():
    rank = rank_correlation(guess, vy)
    print(f"{name:26s} {mean_absolute_error(guess, vy):7.2f}      {'–' if rank is None else f'{rank:8.2f}'}")

fig, ax = plt.subplots(figsize=(4.8, 4.4), layout="constrained")
limits = [min(vy.min(), *(guess.min() for guess in list(guesses.values())[:2])) - 2, 101]
ax.plot(limits, limits, color="gray", lw=1)
for name, marker in (("bundled", "^"), ("trained here", "o")):
    ax.plot(guesses[name], vy, marker, ms=5, alpha=0.7, label=name)
ax.set(xlim=limits, ylim=limits, xlabel="score, %", ylabel="true agreement, %", title="held-out regions")
ax.legend()
plt.show()

# %% [markdown]
# ## Which cues does it use?
#
# Shuffle one cue among the held-out samples, so that it says nothing any more, and see how much the error grows
# (permutation importance; Breiman, Random Forests, 2001). Cues that say the same as another come out as unimportant.

# %%
base = mean_absolute_error(guesses["trained here"], vy)
growth = []
for cue in range(len(CUES)):
    shuffled = []
    for _ in range(5):
        mixed = vx.copy()
        mixed[..., cue] = vx[rng.permutation(len(vx))][..., cue]
        shuffled.append(mean_absolute_error(np.asarray(predict(trained, mixed)), vy))
    growth.append(np.mean(shuffled) - base)
order = np.argsort(growth)
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.barh([CUES[i] for i in order], [growth[i] for i in order])
ax.axvline(0, color="k", lw=0.8)
ax.set_xlabel("held-out error grows by, points")
plt.show()

# %% [markdown]
# ## To work
#
# The trained parameters take the place of the bundled ones. On a held-out drive, scores of both as the key frame (frame
# 0) gets older, beside the truth:

# %%
if "DVSNET_DATA" in os.environ:
    frames = np.stack([unseen[0][i].image[::2, ::2] for i in range(10)])
else:
    scene = StreetScene(1000 + DRIVES, *SIZE, frames=10)
    frames = np.stack([scene.draw(i)[0] for i in range(10)])
steps = [pair_samples(params, np.repeat(frames[:1], 2, 0), frames[i : i + 2], config=config) for i in range(1, 9, 2)]
features, truth = (np.concatenate([np.asarray(getattr(s, f)) for s in steps]) for f in ("feature", "confidence"))
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for name, values in (("true agreement", truth), ("trained here", predict(trained, features)),
                     ("bundled", predict(params["decision"], features))):  # fmt: skip
    ax.plot(range(1, 9), np.asarray(values).reshape(8, -1).mean(1), "o-", label=name)
ax.set(xlabel="frames since the key frame", ylabel="mean of the regions, %")
ax.legend()
plt.show()

mine = {**params, "decision": trained}
print("rooms of the parameters:", ", ".join(mine))

# %% [markdown]
# `mine` goes wherever `params` went: into `segment_frame`, or to a file with `checkpoints.save(folder, mine, config)`,
# which `dvsnet segment --weights folder` reads.
#
# What this notebook left out, `dvsnet accelerate` does: what warps learns first (the scale field, with
# `--motion paper` the flow network), the samples are many more, runs can be killed and resumed to the same parameters
# bit for bit, and your own segmentation network can be in it. [train/README.md](../train/README.md) has the commands.
