"""Stage 1 as its recipe runs it: the step, the loop around it, killed and resumed, what it refuses, several devices.

Compiling is what takes the time here, so the network is one of two layers in DeepLab-Fast's place, compiled quickly.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import several_devices

from dvsnet_jax import DecisionConfig, DeepLabFastConfig, DVSNetConfig, FlowNet2sConfig, checkpoints, networks
from dvsnet_jax.checkpoints.matching import flatten, unflatten
from dvsnet_jax.checkpoints.training_state import load_state, save_state
from dvsnet_jax.config import DeepLabLiteConfig
from dvsnet_jax.datasets.batches import Batches
from dvsnet_jax.datasets.camvid import to_camvid
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.segmentation import label, measure_each
from dvsnet_jax.evaluation.segmentation import whole as whole_confusion
from dvsnet_jax.media.images import write_png
from dvsnet_jax.metrics.segmentation import summary
from dvsnet_jax.networks import segmentation as segmentation_network
from dvsnet_jax.networks.layers import BatchNorm, Convolution
from dvsnet_jax.training import loop, segmentation, segmentation_run, warm_start
from dvsnet_jax.training.parallel import deal_out, local_batch, replicate
from dvsnet_jax.training.run_folder import write_lines
from dvsnet_jax.training.segmentation import SegmentationTraining, start
from dvsnet_jax.training.segmentation_loss import cross_entropy

TESTS = Path(__file__).parents[1]
CONFIG = DVSNetConfig(
    segmentation=DeepLabFastConfig(num_classes=4, blocks=(1, 1, 1, 1), width=4, head_width=8),
    flow=FlowNet2sConfig(channels=(4, 4, 8, 8, 8, 8)),
    decision=DecisionConfig(conv_width=4, hidden=(8, 8, 4)),
)
TRAINING = SegmentationTraining(steps=40, batch_size=2, learning_rate=0.03, trunk_rate=0.5, average=0.3)
COLOURS = np.array([[20, 20, 20], [220, 40, 40], [40, 220, 40], [60, 60, 240]], np.uint8)
QUICK = {"xla_backend_optimization_level": 0}
quick_step = jax.jit(
    segmentation.train_step.__wrapped__,
    static_argnames=("config", "training"), donate_argnames="state", compiler_options=QUICK,
)  # fmt: skip


class Small(nn.Module):
    """Layers of a trunk (conv1, res2) and a head (fc1, fc_out); scores at ¼."""

    config: DeepLabFastConfig
    update_moments: bool = False
    frozen: tuple[str, ...] = ()

    @nn.compact
    def __call__(self, images):
        norm = partial(BatchNorm, update=self.update_moments, frozen=self.frozen)
        x = nn.relu(norm(name="bn_conv1")(Convolution(4, 3, 2, use_bias=False, name="conv1")(images)))
        x = nn.relu(norm(name="bn2")(Convolution(8, 3, 2, use_bias=False, name="res2")(x)))
        x = nn.relu(norm(name="fc1_bn")(Convolution(8, 1, name="fc1")(x)))
        return Convolution(self.config.num_classes, 1, use_bias=False, name="fc_out")(x), {}


def take(patch, network):
    """This network in DeepLab-Fast's place, with shapes of parameters of its own: they are kept by configuration."""
    patch.setitem(segmentation_network._DEEPLABS, DeepLabFastConfig, network)
    traced = segmentation_network._traced_params.__wrapped__
    patch.setattr(segmentation_network, "_traced_params", cache(traced))


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        take(patch, Small)
        patch.setattr(segmentation_run, "train_step", quick_step)
        yield


def pictures(count, seed=0, height=32, width=48, block=8):
    """Blocks of four classes, each of its own colour, and some void."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, (count, height // block, width // block), np.uint8)
    labels = labels.repeat(block, 1).repeat(block, 2)
    images = np.clip(COLOURS[labels] + rng.normal(0, 8, (*labels.shape, 3)), 0, 255).astype(np.uint8)
    labels[:, :3] = 255
    return images, labels


def params_of(config=CONFIG, seed=0):
    """He's rule by numpy: `init_params` compiles for a second for every size."""
    rng = np.random.default_rng(seed)

    def leaf(name, shape):
        if name.endswith("weights"):
            return rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
        return np.ones(shape) if name.endswith(("gamma", "moving_variance")) else np.zeros(shape)

    shapes = flatten(networks.abstract_params(config))
    return unflatten({name: leaf(name, array.shape).astype(np.float32) for name, array in shapes.items()})


@pytest.fixture
def quick_init(monkeypatch):
    """Fresh parameters by numpy; the list says what was asked for."""
    asked = []

    def init(key, config):
        asked.append((int(jax.random.key_data(key)[-1]), config))
        return jax.tree.map(jnp.array, params_of(config, seed=99))

    monkeypatch.setattr(networks, "init_params", init)
    return asked


def trained(training, steps, batch=None, config=CONFIG, step=quick_step):
    """All states, on the host, and all losses."""
    batch = pictures(2) if batch is None else batch
    params = jax.tree.map(jnp.array, params_of(config)["segmentation"])
    state = start(params, config.segmentation, training)
    states, losses = [jax.device_get(state)], []
    for _ in range(steps):
        state, metrics = step(state, *batch, config=config.segmentation, training=training)
        states.append(jax.device_get(state))
        losses.append(float(metrics["loss"]))
    return states, losses


def changed(before, after):
    """Names of the parameters that are not the same, bit for bit."""
    before, after = flatten(before), flatten(after)
    assert before.keys() == after.keys()
    return {name for name in before if before[name].tobytes() != after[name].tobytes()}


def test_overfits_two_pictures_and_keeps_a_mean_of_the_parameters():
    states, losses = trained(TRAINING, 40)
    assert losses[0] > 1 and losses[-1] < 0.3 * losses[0]
    for number, (before, after) in enumerate(pairwise(states[:7])):
        assert after.step == number + 1
        decay = min(0.3, (1 + number) / (10 + number))
        expected = jax.tree.map(lambda a, b, d=decay: d * a + (1 - d) * b, before.average, after.params)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7), after.average, expected)
    everything = set(flatten(states[0].params))
    assert changed(states[0].params, states[1].params) >= everything - {"fc1/biases"}  # a mean is subtracted after it


def test_moments_move_towards_the_batchs():
    (before, after), _ = trained(TRAINING, 1)
    scores = partial(networks.training_scores, config=CONFIG.segmentation, update_moments=True)
    _, moments = jax.jit(scores, compiler_options=QUICK)(before.params, pictures(2)[0])
    assert moments.keys() == {"bn_conv1", "bn2", "fc1_bn"}
    for layer, seen in moments.items():
        for name in ("mean", "variance"):
            old = before.params[layer][f"moving_{name}"]
            expected = 0.97 * old + 0.03 * np.asarray(seen[name][0])
            assert np.abs(expected - old).max() > 1e-3
            np.testing.assert_allclose(after.params[layer][f"moving_{name}"], expected, rtol=1e-5, atol=1e-6)


def test_frozen_layers_stay_bit_for_bit():
    states, _ = trained(replace(TRAINING, freeze=("conv1", "bn_conv1")), 3)
    moved = changed(states[0].params, states[-1].params)
    frozen = {name for name in flatten(states[0].params) if name.startswith(("conv1/", "bn_conv1/"))}
    assert len(frozen) == 5 and not moved & frozen
    assert moved >= {"res2/weights", "bn2/gamma", "bn2/moving_mean", "fc1_bn/moving_variance", "fc_out/weights"}
    for layer in ("conv1", "bn_conv1"):  # their mean too, but for rounding
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), states[-1].average[layer], states[0].params[layer])


def test_frozen_batch_norms_keep_their_moments_and_learn_the_rest():
    states, losses = trained(replace(TRAINING, batch_norm="frozen"), 10)
    moved = changed(states[0].params, states[-1].params)
    assert moved == {name for name in flatten(states[0].params) if "moving_" not in name}
    assert losses[-1] < 0.8 * losses[0]


def test_sgd_its_rates_and_weight_decay():
    """Where all is void there is no gradient: kernels shrink by rate · decay, the trunk's at its own rate."""
    training = replace(TRAINING, optimizer="sgd", average=0.0, weight_decay=0.1, learning_rate=0.2)
    images, labels = pictures(2)
    (before, after), losses = trained(training, 1, (images, np.full_like(labels, 255)))
    assert losses == [0]
    for layer, share in (("conv1", 0.5), ("res2", 0.5), ("fc1", 1), ("fc_out", 1)):
        expected = before.params[layer]["weights"] * (1 - 0.2 * share * 0.1)
        np.testing.assert_allclose(after.params[layer]["weights"], expected, rtol=1e-5)
    still = {name for name in flatten(before.params) if not name.endswith(("weights", "mean", "variance"))}
    assert not changed(before.params, after.params) & still
    states, losses = trained(training, 40)
    assert losses[-1] < 0.5 * losses[0]
    assert not changed(states[-1].params, states[-1].average)  # average 0: the last ones


def test_bfloat16_leaves_parameters_and_loss_float32():
    states, losses = trained(replace(TRAINING, precision="bfloat16"), 20)
    assert {leaf.dtype for leaf in jax.tree.leaves(states[-1][1:])} == {np.dtype(np.float32), np.dtype(np.int32)}
    assert {leaf.dtype for leaf in jax.tree.leaves(states[-1].params)} == {np.dtype(np.float32)}
    _, exact = trained(TRAINING, 1)
    assert losses[0] != exact[0] and losses[0] == pytest.approx(exact[0], rel=0.02)
    assert losses[-1] < 0.5 * losses[0]


def test_the_losss_options_reach_it(monkeypatch):
    asked = {}

    def loss(scores, labels, **options):
        asked.update(options)
        return cross_entropy(scores, labels, **options)

    monkeypatch.setattr(segmentation, "cross_entropy", loss)
    training = replace(TRAINING, class_weights=(1.0, 4.0, 0.5, 2.0), hard_share=0.2, every=2)
    step = partial(quick_step.__wrapped__, config=CONFIG.segmentation, training=training)
    jax.eval_shape(step, start(params_of()["segmentation"], CONFIG.segmentation, training), *pictures(2))
    assert asked.pop("class_weights").shape == (4,)
    assert asked == {"hard_share": 0.2, "every": 2}


def test_rate_rises_and_falls():
    falls = segmentation.rate(replace(TRAINING, learning_rate=2.0, steps=10))
    np.testing.assert_allclose([falls(0), falls(5), falls(10)], [2, 2 * 0.5**0.9, 0], rtol=1e-6)
    rises = segmentation.rate(replace(TRAINING, learning_rate=2.0, steps=14, warmup=4))
    expected = [0.5, 0.875, 1.25, 1.625, 2, 2 * 0.9**0.9]
    np.testing.assert_allclose([rises(step) for step in range(6)], expected, rtol=1e-6)


def test_parts_of_the_networks():
    training = SegmentationTraining(freeze=("res2",))
    parts = flatten(segmentation.parts(params_of()["segmentation"], CONFIG.segmentation, training))
    assert {name for name, part in parts.items() if part == "fixed"} == {
        "res2/weights", *(f"{bn}/moving_{m}" for bn in ("bn_conv1", "bn2", "fc1_bn") for m in ("mean", "variance"))
    }  # fmt: skip
    assert {name.split("/")[0] for name, part in parts.items() if part == "head"} == {"fc1", "fc1_bn", "fc_out"}
    lite = DeepLabLiteConfig()
    assert not any(
        networks.is_head(name, lite) for name in ("stem", "stem_bn", "block0_depthwise", "block15_project_bn")
    )
    assert all(networks.is_head(name, lite) for name in ("up16", "skip4", "skip4_bn", "refine8", "scores"))
    assert all(networks.is_head(name, CONFIG.segmentation) for name in ("fc1_voc12_c0_bn", "fc_oooo", "fc_out"))
    assert not any(networks.is_head(name, CONFIG.segmentation) for name in ("bn5a_branch1", "res5a_branch1"))


@pytest.mark.slow
@pytest.mark.parametrize("network", [CONFIG.segmentation, DeepLabLiteConfig(num_classes=4, decoder_widths=(8, 8, 8))])
def test_the_real_networks_overfit(network):
    with pytest.MonkeyPatch.context() as patch:
        take(patch, networks.DeepLabFast)
        batch = pictures(2, height=64, width=96, block=32)
        training = replace(TRAINING, learning_rate=0.01, trunk_rate=1.0)
        _, losses = trained(training, 40, batch, CONFIG.replace(segmentation=network), segmentation.train_step)
    assert losses[0] > 1 and losses[-1] < 0.5 * losses[0]


# The loop, with a step that needs no compiling.


class Numbers:
    """Batches [0, 1], [2, 3], …, of which the place can be saved."""

    def __init__(self):
        self.at = 0

    def __next__(self):
        self.at += 2
        return np.float32([self.at - 2, self.at - 1])

    def state(self):
        return {"at": self.at}

    def restore(self, state):
        self.at = state["at"]


def fake_step(state, batch):
    w = 0.9 * np.asarray(state["w"]) + np.asarray(batch).sum() / 7
    return {"w": jnp.asarray(w)}, {"loss": jnp.asarray(w[0])}


def run_loop(folder, *, step=fake_step, steps=7, measure=None, by="far", highest=False, **options):
    """Seven steps; what is validated is the distance from 3, which is least at step 4 or 5."""
    measure = measure or (lambda state: {"far": abs(float(state["w"][0]) - 3)})
    schedule = {"look_every": 1, "save_every": 2, "validate_every": 1, **options.pop("schedule", {})}
    return loop.run(
        folder, {"kind": "a test"}, lambda: {"w": jnp.zeros(3)}, step, Numbers(),
        loop.Schedule(steps=steps, **schedule), params_of=lambda state: state,
        validation=loop.Validation(measure=measure, by=by, highest=highest), **options,
    )  # fmt: skip


def lines(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in found]


def test_loop_keeps_the_best_and_writes_its_metrics(tmp_path):
    seen = []
    state = run_loop(tmp_path / "run", on_step=lambda done, metrics: seen.append((done, metrics["loss"])))
    w, expected = np.zeros(3), []
    for number in range(7):
        w = 0.9 * w + (4 * number + 1) / 7
        expected.append(w[0])
    np.testing.assert_allclose([loss for _, loss in seen], expected, rtol=1e-5)
    np.testing.assert_allclose(state["w"], w, rtol=1e-5)
    nearest = int(np.argmin(np.abs(np.array(expected) - 3)))
    best, record = loop.best(tmp_path / "run", {"w": np.zeros(3, np.float32)})
    assert record["step"] == nearest + 1
    np.testing.assert_allclose(best["w"], expected[nearest], rtol=1e-5)
    judged = [line for line in lines(tmp_path / "run") if "validation" in line]
    assert [line["step"] for line in judged] == list(range(1, 8))
    assert [line["step"] for line in judged if line["best"]] == list(range(1, nearest + 2))
    run_loop(tmp_path / "highest", highest=True)
    assert loop.best(tmp_path / "highest", {"w": np.zeros(3, np.float32)})[1]["step"] == 7  # the farthest


def test_loop_appends_its_metrics_and_goes_on_without_what_was_not_saved(tmp_path, monkeypatch):
    """Writing all of 30,000 lines anew at each look took longer than the steps between."""
    written = []
    monkeypatch.setattr(loop, "write_lines", lambda path, lines: written.append(len(lines)) or write_lines(path, lines))
    run_loop(tmp_path)
    assert written == [0] and len(lines(tmp_path)) == 14
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 8, "loss": 1.0}\n{"st')
    run_loop(tmp_path, steps=8)
    assert written == [0, 14] and [line["step"] for line in lines(tmp_path)][-3:] == [7, 8, 8]


def test_loop_looks_and_saves_when_it_is_due(tmp_path):
    run_loop(tmp_path, schedule={"look_every": 2, "save_every": 3, "validate_every": None})
    assert [line["step"] for line in lines(tmp_path)] == [2, 3, 5, 6, 7, 7]
    losses = {line["step"]: line["loss"] for line in lines(tmp_path) if "loss" in line}
    one, two, three = 1 / 7, 0.9 / 7 + 5 / 7, 0.81 / 7 + 4.5 / 7 + 9 / 7
    assert losses[2] == pytest.approx((one + two) / 2) and losses[3] == pytest.approx(three)


def test_loop_stopped_anywhere_ends_the_same(tmp_path, monkeypatch):
    whole = run_loop(tmp_path / "whole")
    folder = tmp_path / "stopped"

    def stop_at(wanted):
        def on_step(done, metrics):
            if done == wanted:
                raise KeyboardInterrupt

        return on_step

    for number in (1, 3, 5):
        with pytest.raises(KeyboardInterrupt):
            run_loop(folder, on_step=stop_at(number))
    real = loop.save_state

    def full_disk(path, tree, record):
        if path.name == "latest" and record["steps"] == 5:
            raise InputError("disk full")  # after best/ was written
        real(path, tree, record)

    with monkeypatch.context() as context, pytest.raises(InputError, match="disk full"):
        context.setattr(loop, "save_state", full_disk)
        run_loop(folder)
    resumed = run_loop(folder)
    np.testing.assert_array_equal(resumed["w"], whole["w"])
    assert lines(folder) == lines(tmp_path / "whole")
    like = {"w": np.zeros(3, np.float32)}
    (best, record), (other, other_record) = loop.best(folder, like), loop.best(tmp_path / "whole", like)
    np.testing.assert_array_equal(best["w"], other["w"])
    assert record == other_record
    np.testing.assert_array_equal(run_loop(folder)["w"], whole["w"])  # finished: nothing more is done


def test_loop_stops_at_what_is_not_finite(tmp_path):
    like = {"w": np.zeros(3, np.float32)}

    def nan_loss(state, batch):
        state, metrics = fake_step(state, batch)
        return state, {"loss": jnp.where(np.asarray(batch)[0] == 6, jnp.nan, metrics["loss"])}

    with pytest.raises(InputError, match=r"step 4: the loss is nan.*latest.*--learning-rate"):
        run_loop(tmp_path / "a", step=nan_loss, schedule={"look_every": 20, "save_every": 3, "validate_every": None})
    assert load_state(tmp_path / "a/latest", like)[1]["steps"] == 3  # found at the look after step 6

    def infinite_parameter(state, batch):
        state, metrics = fake_step(state, batch)
        return {"w": state["w"].at[1].set(jnp.where(np.asarray(batch)[0] == 6, jnp.inf, 0))}, metrics

    with pytest.raises(InputError, match=r"step 4: a parameter is not finite"):
        run_loop(tmp_path / "b", step=infinite_parameter, schedule={"validate_every": None})
    state, record = load_state(tmp_path / "b/latest", like)
    assert record["steps"] == 2 and np.isfinite(state["w"]).all()
    with pytest.raises(InputError, match=r"step 1: the validation's far is nan"):
        run_loop(tmp_path / "c", measure=lambda state: {"far": float("nan")})


def test_every_process_resumes_in_its_own_shard(tmp_path, monkeypatch):
    """The first process writes where its batches stand; the others stand at the same place of theirs."""
    source = [LabelledImage(np.full((1, 1, 3), n, np.uint8), np.full((1, 1), n, np.uint8)) for n in range(20)]

    def shard(process):
        return Batches(source, batch_size=2, seed=0, process=process, processes=2, threads=0)

    first, second, resumed = shard(0), shard(1), shard(1)
    for _ in range(3):
        next(first), next(second)
    record = {"steps": 3, "best": None, "lines": [], "data": first.state()}
    save_state(tmp_path / "latest", {"w": np.ones(3, np.float32)}, record)
    monkeypatch.setattr(loop.jax, "process_index", lambda: 1)
    state, found = loop._resume(tmp_path, lambda: {"w": jnp.zeros(3)}, resumed)
    assert state["w"].tolist() == [1, 1, 1] and found["steps"] == 3
    np.testing.assert_array_equal(next(resumed).labels, next(second).labels)


# The recipe.


def recipe():
    spec = importlib.util.spec_from_file_location("recipe_segmentation", TESTS.parent / "train" / "segmentation.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def run_recipe(argv, dies_at):
    """In a process of its own, killed as it begins that step."""
    main, calls = recipe(), iter(range(1, dies_at + 1))

    def step(*args, **options):
        if next(calls) == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return quick_step(*args, **options)

    segmentation_run.train_step = step
    segmentation_network._DEEPLABS[DeepLabFastConfig] = Small
    main(argv)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Frames to train and to validate on, and weights to begin from."""
    root = tmp_path_factory.mktemp("segmentation")
    for name, count in (("train", 5), ("val", 2)):
        for folder, arrays in zip(("frames", "labels"), pictures(count, seed=count), strict=True):
            (root / name / folder).mkdir(parents=True)
            for index, array in enumerate(arrays):
                write_png(root / name / folder / f"f{index}.png", array)
    offsets = (1.0, 0.0, 0.0, -1.0)  # which belong to these parameters, and not to what is trained from them
    checkpoints.save(root / "weights", params_of(), CONFIG.replace(class_offsets=offsets))
    return root


def flags(root, save_dir, *more):
    data = {name: f"folder:{root}/{name}/frames:{root}/{name}/labels" for name in ("train", "val")}
    flags = ["--data", data["train"], "--hold-out", "f4", "--validate", data["val"], "--restore-from", root / "weights"]
    flags += ["--save_dir", save_dir, "--num-classes=4", "--batch-size", 2, "--crop", 32, 48, "--scale", 0.9, 1.1]
    flags += ["--learning-rate", 0.03, "--steps", 24, "--save-every", 6, "--validate-every", 12, "--average", 0.8]
    return [str(flag) for flag in (*flags, *more)]


@pytest.fixture(scope="module")
def whole(root):
    """A run from beginning to end."""
    assert recipe()(flags(root, root / "whole")) == 0
    return root / "whole"


def latest(folder, config=CONFIG):
    like = jax.eval_shape(lambda: start(params_of(config)["segmentation"], config.segmentation, TRAINING))
    return load_state(folder / "latest", like)


def test_recipe_writes_weights_that_load(root, whole, capsys):
    params, config = checkpoints.load(whole / "weights")
    before, _ = checkpoints.load(root / "weights")
    assert config == CONFIG
    for name in ("flow", "decision"):
        jax.tree.map(np.testing.assert_array_equal, params[name], before[name])
    assert changed(jax.device_get(params["segmentation"]), jax.device_get(before["segmentation"]))
    judged = [line for line in lines(whole) if "validation" in line]
    assert [line["step"] for line in judged] == [12, 24]
    first, last = (line["validation"]["mean_iou"] for line in judged)
    best = max(first, last)
    assert best > 0.3 and judged[-1]["best"] == (last > first)
    held = [LabelledImage(*pair) for pair in zip(*pictures(2, seed=2), strict=True)]
    measured = summary(whole_confusion(params["segmentation"], held, CONFIG.segmentation))
    assert measured["mean_iou"] == best
    losses = [line["loss"] for line in lines(whole) if "loss" in line]
    assert len(losses) == 4 and losses[-1] < 0.7 * losses[0]
    settings = json.loads((whole / "settings.json").read_text())
    assert settings["samples"] == 4 and settings["held out"] == ["f4"]  # of five
    # The same command again finds it finished.
    assert recipe()(flags(root, whole)) == 0
    assert "DVSNet with this segmentation network" in capsys.readouterr().out
    assert lines(whole)[-1]["step"] == 24


def child(code, *arguments, **environment):
    path = os.pathsep.join(map(str, (Path(__file__).parent, TESTS, TESTS.parent)))
    environment = {**os.environ, "PYTHONPATH": path, **environment}
    command = [sys.executable, "-c", f"import sys, test_training_segmentation as t; {code}", *arguments]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_killed_and_resumed_ends_with_the_same_parameters(root, whole):
    killed = root / "killed"
    ended = child("t.run_recipe(sys.argv[1:], dies_at=16)", *flags(root, killed))
    assert ended.returncode == -signal.SIGKILL, ended.stdout
    assert latest(killed)[1]["steps"] == 12 and not (killed / "weights").exists()
    assert recipe()(flags(root, killed)) == 0
    (state, record), (other, other_record) = latest(killed), latest(whole)
    jax.tree.map(np.testing.assert_array_equal, state, other)
    assert lines(killed) == lines(whole)
    assert record["best"] == other_record["best"] and record["data"] == other_record["data"]
    jax.tree.map(
        np.testing.assert_array_equal, checkpoints.load(killed / "weights")[0], checkpoints.load(whole / "weights")[0]
    )


def test_recipe_stops_at_nan_and_keeps_the_state(root, tmp_path, capsys):
    more = ("--learning-rate", "1e30", "--save-every", "1", "--look-every", "1")
    assert recipe()(flags(root, tmp_path / "run", *more)) == 1
    said = capsys.readouterr().err
    assert said.startswith("segmentation.py: step 2: ") and said.count("\n") == 1
    assert "expected a finite number" in said and "--learning-rate" in said
    state, record = latest(tmp_path / "run")
    assert record["steps"] == 1 and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))
    assert not (tmp_path / "run" / "weights").exists()


def test_pictures_whose_labels_are_all_void_are_refused_before_the_training(root, tmp_path, capsys):
    (tmp_path / "void").mkdir()
    for index in range(2):
        write_png(tmp_path / "void" / f"f{index}.png", np.full((32, 48), 255, np.uint8))
    void = f"folder:{root}/val/frames:{tmp_path / 'void'}"
    for option, count in (("--data", 1), ("--validate", 2)):
        words = ["f1" if word == "f4" else word for word in flags(root, tmp_path / "run")]
        words[words.index(option) + 1] = void
        assert recipe()(words) == 1
        assert f"{void}: every label of its {count} pictures is void" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_recipe_refuses_in_one_line(root, whole, tmp_path, capsys):
    def refused(*argv):
        assert recipe()(list(argv)) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    said = refused(*flags(root, whole, "--seed", "3"))
    assert "training: seed was 0 and is now 3" in said and "another run" in said
    street = ("--data", "street:1:0:32x48", "--restore-from", str(root / "weights"), "--save-dir", str(tmp_path / "a"))
    assert "choose --num-classes" in refused(*street, "--num-classes", "4")
    assert "is left without f; they are called like" in refused(*flags(root, tmp_path / "b", "--hold-out", "f"))
    assert "no such" in refused(*flags(root, tmp_path / "c", "--restore-from", str(root / "nowhere")))
    assert not any((tmp_path / name).exists() for name in "abc")


def test_recipe_without_a_checkpoint_begins_afresh(root, quick_init, tmp_path, monkeypatch, capsys):
    """On the drawn street, without validation: the mean of the last step is kept."""
    monkeypatch.setitem(warm_start.PRESETS, "street", lambda classes: warm_start._with_classes(CONFIG, classes))
    flags = ["--data", "street:2:0:32x48", "--data", "street:1:7:64x96@0.5", "--save-dir", str(tmp_path)]
    more = ["--steps", "3", "--batch-size", "3", "--crop", "32", "48", "--in-memory", "--seed", "5"]
    assert recipe()([*flags, *more]) == 0
    assert "all parameters are fresh" in capsys.readouterr().out
    params, config = checkpoints.load(tmp_path / "weights")
    assert quick_init == [(5, config)] and config.num_classes == 19
    assert params["segmentation"]["fc_out"]["weights"].shape[-1] == 19
    state, record = latest(tmp_path, config)
    jax.tree.map(np.testing.assert_array_equal, params["segmentation"], state.average)
    assert record["steps"] == 3 and record["data"]["samples"] == 3 and not (tmp_path / "best").exists()


def test_warm_start_with_other_classes_keeps_all_but_the_last_layers(root, quick_init):
    preset = warm_start.PRESETS["street"]
    params, config, note = warm_start.begin(str(root / "weights"), preset, 4, seed=0)
    assert config.replace(class_offsets=()) == CONFIG and note == ""
    assert not changed(jax.device_get(params), params_of())
    params, config, note = warm_start.begin(str(root / "weights"), preset, 7, seed=4)
    assert quick_init == [(4, config)]
    assert config == CONFIG.replace(segmentation=replace(CONFIG.segmentation, num_classes=7))
    networks_shapes = networks.abstract_params(config)
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, networks_shapes)
    fresh = {"segmentation/fc_out/weights", "flow/predict_scale/weights", "flow/predict_scale/biases"}
    assert note == f"fresh for 7 classes: {', '.join(name for name in flatten(params) if name in fresh)}"
    old, new = flatten(params_of()), flatten(jax.device_get(params))
    assert {name for name in old if old[name].shape != new[name].shape} == fresh
    assert all(old[name].tobytes() == new[name].tobytes() for name in old if name not in fresh)
    other = flatten(params_of(config, seed=99))
    assert all(other[name].tobytes() == new[name].tobytes() for name in fresh)


def test_validation_counts_camvids_classes():
    """19 classes are merged into CamVid's 11, of truth and prediction alike."""
    config = replace(CONFIG.segmentation, num_classes=19)
    params = params_of(CONFIG.replace(segmentation=config), seed=3)["segmentation"]
    images, labels = pictures(2)
    labels = np.where(labels < 4, labels * 4 + 1, labels)  # sidewalk, pole, terrain, car
    source = [LabelledImage(*pair) for pair in zip(images, labels, strict=True)]
    found = np.concatenate([label(params, image[None], config=config) for image in images])
    assert len(np.unique(found)) > 2

    def expected(found, labels, classes):
        known = labels < classes
        pairs = [((found == c) & known, labels == c) for c in range(classes)]
        ious = [(a & b).sum() / (a | b).sum() for a, b in pairs if (a | b).any()]
        return {"mean_iou": pytest.approx(np.mean(ious)), "accuracy": pytest.approx((found == labels)[known].mean())}

    assert summary(whole_confusion(params, source, config)) == expected(found, labels, 19)
    merged = summary(whole_confusion(params, source, config, classes="camvid"))
    assert merged == expected(to_camvid(found), to_camvid(labels), 11)
    # Several sets: each by itself, named as on the command line, and the mean of both, however large they are.
    own, first = (summary(whole_confusion(params, part, config)) for part in (source, source[:1]))
    assert measure_each(params, {"folder:a:b": source}, config) == own
    found = measure_each(params, {"camvid:a:val": source, "folder:a:b": source[:1]}, config)
    assert found == {
        "mean_iou": pytest.approx((merged["mean_iou"] + first["mean_iou"]) / 2),
        "accuracy": pytest.approx((merged["accuracy"] + first["accuracy"]) / 2),
        **{f"{metric} of camvid:a:val": value for metric, value in merged.items()},
        **{f"{metric} of folder:a:b": value for metric, value in first.items()},
    }


def check_devices():
    """In a process with four devices: one step on all of them is the step on one, and a batch of six is refused."""
    assert jax.device_count() == 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(segmentation_network._DEEPLABS, DeepLabFastConfig, Small)
        training, batch = replace(TRAINING, optimizer="sgd", hard_share=0.3), pictures(4, seed=5)
        batch[1][0, 8:] = 255  # so that devices have unlike numbers of labelled pixels
        (_, alone), (loss,) = trained(training, 1, batch)
        state = replicate(start(params_of()["segmentation"], CONFIG.segmentation, training))
        dealt = deal_out(batch)
        assert len(dealt[0].sharding.device_set) == 4 and dealt[0].addressable_shards[0].data.shape[0] == 1
        state, metrics = quick_step(state, *dealt, config=CONFIG.segmentation, training=training)
        together = jax.device_get(state)
        compiled = quick_step._cache_size()
        quick_step(state, *dealt, config=CONFIG.segmentation, training=training)
        assert quick_step._cache_size() == compiled
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-5)
    for room in ("params", "average"):
        close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
        jax.tree.map(close, getattr(together, room), getattr(alone, room))
    assert local_batch(8) == 8
    with pytest.raises(InputError, match=r"a batch of 6 cannot be dealt out evenly over 4 devices.*multiple of 4"):
        local_batch(6)
    print("alike")


def test_four_devices_compute_what_one_does():
    ended = child("t.check_devices()", **several_devices(4))
    assert ended.returncode == 0 and ended.stdout.endswith("alike\n"), ended.stdout
