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
# # Choosing a target
#
# A *policy* turns scores into routes, and its one number trades accuracy for work. Which policy, and which number? The
# question has an answer only for labelled video like your own: run the policies over their range, look at the *Pareto
# front*, and take the cheapest setting that is good enough (sections 3.2 and 4 of the
# [paper](https://openaccess.thecvf.com/content_cvpr_2018/papers/Xu_Dynamic_Video_Segmentation_CVPR_2018_paper.pdf)).
# And where what you can afford is fixed, say that instead: a *budget*.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

from dvsnet_jax import Budget, init_state, prepare, segment_frame
from dvsnet_jax.benchmarks.multiply_adds import costs
from dvsnet_jax.checkpoints import load_bundled
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.datasets.street.scene import StreetScene, draw_street
from dvsnet_jax.evaluation.clips.labelled import LabelledClip, labelled_clips
from dvsnet_jax.evaluation.policies.measurement import measure, segment_clips
from dvsnet_jax.evaluation.policies.simulation import threshold

loaded, config = load_bundled()
params = prepare(loaded, config)

# %% [markdown]
# ## Labelled video
#
# Two drawn drives of 16 frames, which come with exact labels (with `DVSNET_DATA`: the first 32 frames of CamVid's
# validation drive, counted in CamVid's 11 classes). Every frame is segmented once, here; the runs below only warp.

# %%
if "DVSNET_DATA" in os.environ:
    classes = "camvid"
    (drive,) = labelled_clips(f"camvid:{os.environ['DVSNET_DATA']}/camvid:val")
    clips = [LabelledClip(drive.name, [drive.frames[i] for i in range(32)])]
else:
    classes = "own"
    clips = [
        LabelledClip(f"street {seed}", [LabelledImage(*each) for each in zip(*draw_street(seed, 16), strict=True)])
        for seed in (5, 8)
    ]

video = segment_clips(params, clips, config=config)
print(
    ", ".join(
        f"{clip.name}: {len(clip.frames)} frames of {clip.truth.shape[1]}×{clip.truth.shape[2]}" for clip in video
    )
)

# %% [markdown]
# ## Policies over their range
#
# Four of them, each at four settings:
#
# * **expected confidence**, the paper's: segment where the score is below a fixed target;
# * **accumulated loss**, the bundled weights' own: segment where what is expected to be lost since the key frame has
#   added up to a limit;
# * **fixed interval**, which looks at nothing;
# * the **oracle**: a fixed target like the paper's, held against the *true* agreement. No policy can know that without
#   segmenting; it shows what a perfect decision network would make of a fixed target.

# %%
SETTINGS = {
    "learned": (95, 92, 88, 80),
    "loss": (10, 20, 40, 80),
    "interval": (2, 3, 4, 6),
    "oracle": (93, 90, 87, 82),
}
TITLES = {
    "learned": "expected confidence",
    "loss": "accumulated loss",
    "interval": "fixed interval",
    "oracle": "oracle",
}


def run(policy, at):
    return measure(params, video, policy, at, config=config, classes=classes)[0]


every, first = run("loss", -np.inf), run("loss", np.inf)  # everything segmented, and first frames alone
runs = {policy: [run(policy, threshold(policy, each)) for each in numbers] for policy, numbers in SETTINGS.items()}
print(f"every frame segmented: mIoU {every.mean_iou:.2%};  first frames alone: {first.mean_iou:.2%}")
for policy, measured in runs.items():
    print(f"\n{TITLES[policy]:20s} setting  segmented   mIoU   kept   as every frame")
    for each in measured:
        print(f"{each.setting:28.0f} {each.share:9.1%} {each.mean_iou:8.2%} {each.mean_iou / every.mean_iou:6.1%} "
              f"{each.agreement:11.1%}")  # fmt: skip

# %% [markdown]
# Two kinds of "good" are in that table. *mIoU* is against the true labels. *As every frame* is the share of pixels that
# get the label that segmenting every frame would give; the decision network is trained to foresee it. The weights are
# for real streets and do poorly on drawn ones (see the mIoU of every frame), so a frame more or less is luck there, and
# it is the second that tells policies apart.
#
# ## The Pareto front
#
# A run is on the front if no other is better for no more work. All else can be forgotten.

# %%
plain = [each for policy in ("learned", "loss", "interval") for each in runs[policy]] + [first, every]
front, best = [], -1.0
for each in sorted(plain, key=lambda each: (each.share, -each.agreement)):
    if each.agreement > best:
        front.append(each)
        best = each.agreement

fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for ax, name, title in ((axes[0], "mean_iou", "mIoU, %"), (axes[1], "agreement", "pixels as with every frame, %")):
    for (policy, measured), marker in zip(runs.items(), "osD^", strict=True):
        shares, values = ([100 * getattr(each, field) for each in measured] for field in ("share", name))
        ax.plot(shares, values, marker + "-", label=TITLES[policy], lw=1, alpha=0.5 if policy == "oracle" else 1)
    ax.axhline(100 * getattr(every, name), color="gray", ls=":", label="every frame segmented")
    ax.set(xlabel="regions segmented, %", ylabel=title)
axes[1].step([100 * each.share for each in front], [100 * each.agreement for each in front], where="post",
             color="k", lw=3, alpha=0.15, label="Pareto front")  # fmt: skip
axes[1].legend(fontsize=9)
plt.show()

# %% [markdown]
# Look at how the lines lie, not at single points: 32 frames are few. On the drawn drives, on the right, expected
# confidence lies a little above the fixed interval, accumulated loss about on a level with both, and the oracle shows
# what is left to gain by foretelling better. For 101 frames of real video, where the weights are at home,
# [eval/README.md](../eval/README.md#policies) has the same with all policies and mIoU; there accumulated loss is ahead,
# and it says why true agreement is not the same as being right. `python eval/policies.py --data … --report page.html`
# makes it for your own.
#
# ## From "good enough" to a setting
#
# Say that 95 % of the pixels must come out as with every frame segmented. The cheapest run that does:

# %%
wanted = 0.95
enough = [each for policy in ("learned", "loss", "interval") for each in runs[policy] if each.agreement >= wanted]
choice = min([*enough, every], key=lambda each: each.share)
print(f"{TITLES.get(choice.policy, choice.policy)}, setting {choice.setting:g}:")
print(f"{choice.share:.0%} of regions segmented, {choice.agreement:.1%} of pixels as with every frame segmented")

# %% [markdown]
# ## What a share costs
#
# Flow and decision are paid for in every region of every frame, segmentation only where it is used. So work is a
# straight line over the share:

# %%
heavy, *light = costs(config, *video[0].truth.shape[1:])
for each in (heavy, *light):
    print(f"{each.network:28s} {each.multiply_adds / 1e6:7.0f} M multiply-adds a {each.per}")
always, once = (config.num_regions * sum(part) for part in
                ([each.multiply_adds for each in light], [heavy.multiply_adds]))  # fmt: skip
for share in (0.1, 0.2, 0.5):
    print(f"{share:.0%} of regions: {(always + share * once) / once:5.1%} of the work without DVSNet")

# %% [markdown]
# Around a heavier segmentation network the first number grows and the others stay: that is where DVSNet pays most.
# Multiply-adds are not seconds; `python eval/speed.py` measures those.
#
# ## A budget
#
# Often what is fixed is not the quality but the share. `Budget(0.2)` steers the limit of accumulated loss, so that a
# fifth of all regions is segmented, over any 50 frames and more to within a tenth of it, whatever the video shows. Here
# it meets a drive with hard cuts, at each of which everything wants to be segmented.

# %%
FRAMES, SHARE = 48, 0.2
scene = StreetScene(6, 256, 512, frames=FRAMES, cut_rate=0.06)
cuts = scene.starts[1:]
steered = config.replace(policy=Budget(SHARE, regions=config.num_regions))

routes, limits, credits, state = [], [], [], None
for number in range(FRAMES):
    frame = scene.draw(number)[0][None]
    state = init_state(params, frame, config=steered) if state is None else state
    limits.append(float(state.policy.limit[0]))  # what this frame is held against; the policy's state is in the state
    state, result = segment_frame(params, state, frame, config=steered)
    routes.append(np.asarray(result.segmented[0]))
    credits.append(float(state.policy.credit[0]))  # regions, what this frame leaves
spent = np.mean(routes, axis=1)  # of each frame's regions
print(f"{len(cuts)} cuts in {FRAMES} frames: {spent.mean():.1%} of all regions segmented, asked for {SHARE:.0%}")
print(f"of the last {FRAMES // 2} frames: {spent[FRAMES // 2 :].mean():.1%}")

# %%
fig, axes = plt.subplots(3, 1, figsize=(10, 6), sharex=True, layout="constrained")
axes[0].bar(range(FRAMES), 100 * spent, color="#ffb000", label="of this frame's regions")
axes[0].plot(100 * np.cumsum(spent) / np.arange(1, FRAMES + 1), label="of all regions so far")
axes[0].axhline(100 * SHARE, color="gray", ls="--", label="budget")
axes[0].set(ylabel="segmented, %", ylim=(0, 140))
axes[0].legend(fontsize=9, ncols=3, loc="upper right")
axes[1].step(range(FRAMES), credits, where="mid", color="tab:purple")
axes[1].set(ylabel="credit, regions", ylim=(0, None))
axes[2].plot(limits, color="tab:green")
axes[2].set(ylabel="limit, points", xlabel="frame")
for ax in axes:
    for cut in cuts:
        ax.axvline(cut - 0.5, color="tab:red", lw=1, alpha=0.6)
plt.show()

# %% [markdown]
# Red lines are the cuts. Each takes as many regions as there is credit for, the worst first, and the others follow when
# there is credit again; the limit is raised for that, so that what follows is warped for longer. Where credit would run
# over, the worst region is segmented though it is below the limit. The first frame, which always costs everything, is
# paid for as well: the share so far comes down from it to the budget. What exactly holds over n frames is in `Budget`'s
# docstring.
#
# On the command line this is `dvsnet segment drive.mp4 --budget 0.2`, and a fixed target `--target 90`.
#
# **Next:** [optical flow and correlation](04_optical_flow.ipynb), what warping goes by.
