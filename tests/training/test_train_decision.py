"""Stage 3 as its recipes run it: the training set, the training, killed and resumed, and what they refuse."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import cache

import jax
import numpy as np
import pytest
from compiling import several_devices
from recipes import TRAIN, recipe, varied_params
from tiny import SIMPLE, TINY, marked, simple_params, tiny_params, video

from dvsnet_jax import DecisionConfig, checkpoints
from dvsnet_jax.checkpoints import training_state
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import read_image, write_png
from dvsnet_jax.metrics import calibration
from dvsnet_jax.training.decision import example_files
from dvsnet_jax.training.decision import loop as decision_loop
from dvsnet_jax.training.decision.example_set import read_set
from dvsnet_jax.training.decision.examples import pair_samples
from dvsnet_jax.training.decision.network import DecisionTraining

ARRAYS = ("X", "Y", "flow_magnitude")
SMALL = DecisionConfig(grid=(2, 3), conv_width=4, hidden=(32, 32, 8))


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Six frames, a list of nine pairs of them, and weights to restore from."""
    root = tmp_path_factory.mktemp("frames")
    for index, frame in enumerate(video(6)[:, 0]):
        write_png(root / f"{index}.png", frame)
    pairs = [(key, current) for current in (3, 4, 5) for key in (current - 2, current - 1, current)]
    (root / "pairs.txt").write_text("".join(f"/{key}.png {current}.png -\n" for key, current in pairs))
    checkpoints.save(root / "weights", varied_params(), TINY)
    return root


def data_flags(root, save_dir, *more):
    flags = ["--data-dir", root, "--data-list", root / "pairs.txt", "--restore-from", root / "weights"]
    return [str(flag) for flag in (*flags, "--save-dir", save_dir, *more)]


@pytest.fixture(scope="module")
def made(frames, tmp_path_factory):
    save_dir = tmp_path_factory.mktemp("made") / "set"
    assert recipe("decision_data")(data_flags(frames, save_dir)) == 0
    return save_dir


def test_set_holds_the_samples_of_every_pair(frames, made):
    arrays = {name: np.load(made / f"{name}.npy", allow_pickle=False) for name in ARRAYS}
    lines = [json.loads(line) for line in (made / "samples.jsonl").read_text().splitlines()]
    assert arrays["X"].dtype == np.float32 and arrays["Y"].dtype == arrays["flow_magnitude"].dtype == np.float64
    assert len(arrays["X"]) == len(arrays["Y"]) == len(lines)
    assert not (made / "parts").exists()
    assert arrays["Y"].std() > 10 and arrays["Y"].max() <= 100
    for row in (0, len(lines) // 2, -1):
        pair = (read_image(lines[row][name])[None] for name in ("key", "current"))
        sample, region = pair_samples(varied_params(), *pair, config=TINY), lines[row]["region"]
        np.testing.assert_allclose(arrays["X"][row], sample.feature[region], rtol=1e-5, atol=1e-6)
        assert arrays["Y"][row] == float(sample.confidence[region]) == lines[row]["agreement"]
        assert arrays["flow_magnitude"][row] == pytest.approx(float(sample.flow_magnitude[region]))
    read = read_set(made, (*TINY.decision.grid, 8), grid_of="TINY")
    np.testing.assert_array_equal(read.features, arrays["X"])


def test_interrupted_set_resumes_to_the_same_arrays(frames, made, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(example_files, "PAIRS_PER_PART", 2)
    real, done = example_files.pair_samples, []

    def fails_at_the_sixth(*args, **kwargs):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(1)
        return real(*args, **kwargs)

    main = recipe("decision_data")
    monkeypatch.setattr(example_files, "pair_samples", fails_at_the_sixth)
    assert main(data_flags(frames, tmp_path)) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert len(list((tmp_path / "parts").iterdir())) == 2 and not (tmp_path / "X.npy").exists()

    done.clear()
    monkeypatch.setattr(example_files, "pair_samples", lambda *args, **kw: (done.append(1), real(*args, **kw))[1])
    with monkeypatch.context() as context:  # and once more, while the parts are put together
        context.setattr(example_files, "write_lines", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        assert main(data_flags(frames, tmp_path)) == 130
    assert len(done) == 9 - 4  # the two whole parts were not computed again
    assert main(data_flags(frames, tmp_path)) == main(data_flags(frames, tmp_path)) == 0
    assert len(done) == 9 - 4
    for name in ARRAYS:
        assert (tmp_path / f"{name}.npy").read_bytes() == (made / f"{name}.npy").read_bytes()
    assert (tmp_path / "samples.jsonl").read_text() == (made / "samples.jsonl").read_text()


def test_flags_of_the_set(frames, made, tmp_path, capsys):
    main = recipe("decision_data")
    middle = float(np.sort(np.load(made / "Y.npy")[:8])[3])  # one of them, which "above" leaves out
    flags = [flag.replace("-dir", "_dir").replace("--data-list", "--data_list") for flag in data_flags(frames, "x")]
    flags[flags.index("x")] = str(tmp_path / "clipped")
    assert main([*flags, "--num_steps=2", f"--clip={middle}"]) == 0
    kept = np.load(tmp_path / "clipped" / "Y.npy")
    full = np.load(made / "Y.npy")[:8]
    np.testing.assert_array_equal(kept, full[full > middle])
    assert main(data_flags(frames, tmp_path / "zero", "--num-steps", "2", "--overlap", "0")) == 0
    assert json.loads((tmp_path / "zero" / "settings.json").read_text())["overlap"] == 0
    capsys.readouterr()
    assert main(data_flags(frames, made, "--overlap", "0")) == 1
    assert "overlap was 16 and is now 0" in capsys.readouterr().err
    assert main(data_flags(frames, tmp_path / "none", "--num-steps", "1", "--clip", "100")) == 1
    assert "none of 1 pairs" in capsys.readouterr().err
    assert main(data_flags(frames, tmp_path / "none", "--num-steps", "0")) == 2


def test_a_set_made_elsewhere_is_not_written_over(frames, tmp_path, capsys):
    (tmp_path / "X.npy").touch()
    assert recipe("decision_data")(data_flags(frames, tmp_path)) == 1
    assert "has an X.npy that was not made here (no settings.json)" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["X.npy"]


def test_what_is_not_finite_and_a_damaged_part_are_named(frames, tmp_path, monkeypatch, capsys):
    main, real = recipe("decision_data"), example_files.pair_samples

    def not_finite(*args, **options):
        sample = real(*args, **options)
        return sample._replace(feature=sample.feature * np.nan)

    with monkeypatch.context() as context:
        context.setattr(example_files, "pair_samples", not_finite)
        assert main(data_flags(frames, tmp_path / "nan", "--num-steps", "1")) == 1
    assert "3.png: the networks' output for it is not finite; check the weights" in capsys.readouterr().err

    with monkeypatch.context() as context:
        context.setattr(example_files, "write_lines", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        assert main(data_flags(frames, tmp_path / "cut", "--num-steps", "1")) == 130
    (part,) = (tmp_path / "cut" / "parts").iterdir()
    part.write_bytes(part.read_bytes()[:100])
    capsys.readouterr()
    assert main(data_flags(frames, tmp_path / "cut", "--num-steps", "1")) == 1
    assert f"{part}: cannot be read" in capsys.readouterr().err
    part.unlink()
    assert main(data_flags(frames, tmp_path / "cut", "--num-steps", "1")) == 0


@pytest.mark.parametrize(
    "lines,says",
    [
        ("0.png 1.png -\n0.png\n", "line 2"),
        ("0.png gone.png -\n", "gone.png"),
        ("0.png broken.png -\n", "broken.png"),
        ("0.png large.png -\n", "large.png"),
        ("", "no pair"),
    ],
)
def test_bad_lists_and_images_are_named(frames, tmp_path, lines, says, capsys):
    (frames / "broken.png").write_bytes((frames / "0.png").read_bytes()[:200])
    write_png(frames / "large.png", np.zeros((80, 96, 3), np.uint8))
    (tmp_path / "list").write_text(lines)
    flags = data_flags(frames, tmp_path / "set")
    flags[flags.index("--data-list") + 1] = str(tmp_path / "list")
    assert recipe("decision_data")(flags) == 1
    assert says in capsys.readouterr().err


def test_originals_weights_need_no_decision_network_yet():
    from dvsnet_jax.training import restoring

    with pytest.MonkeyPatch.context() as patch:
        small = {
            checkpoints.foreign.original_names.to_original(name): np.asarray(array)
            for name, array in checkpoints.matching.flatten(tiny_params()).items()
            if not name.startswith("decision/")
        }
        patch.setattr(restoring.checkpoints, "is_tensorflow", lambda path: True)
        patch.setattr(restoring.checkpoints, "read_tensorflow", lambda path: small)
        params, config = restoring.restore("model.ckpt")
    assert config.segmentation == TINY.segmentation and config.flow == TINY.flow
    np.testing.assert_array_equal(
        params["flow"]["conv1"]["weights"], np.asarray(tiny_params()["flow"]["conv1"]["weights"])
    )
    assert params["decision"]["Conv"]["weights"].shape == (3, 3, 8, 96)


def write_set(folder, count, seed, channels=5):
    """A relation that can be learnt: agreement falls with the mean of the first channel."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 2, 3, channels)).astype(np.float32) + rng.normal(size=(count, 1, 1, channels))
    y = np.clip(60 + 25 * x[..., 0].mean((1, 2)), 0, 100).astype(np.float64)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "X.npy", x.astype(np.float32))
    np.save(folder / "Y.npy", y)
    np.save(folder / "flow_magnitude.npy", np.abs(y - 80) + 10 * rng.normal(size=count))
    return folder


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    return write_set(root / "train", 400, 0), write_set(root / "val", 77, 1)


@cache
def fresh():
    """`(parameters, configuration)` whose decision network reads these sets' features."""
    from dvsnet_jax import FlowNet2sConfig, networks

    config = TINY.replace(decision=SMALL, flow=FlowNet2sConfig(channels=(4, 4, 4, 4, 4, 5)))
    return networks.init_params(jax.random.key(0), config), config


def weights_for(folder):
    checkpoints.save(folder, *fresh())
    return folder


def run_flags(sets, save_dir, *more):
    flags = ["--train-data-dir", sets[0], "--val-data-dir", sets[1], "--save-dir", save_dir, "--batch-size", 16]
    return [str(flag) for flag in (*flags, *more)]


def test_training_beats_the_mean_and_writes_everything(sets, tmp_path, capsys):
    weights, out = weights_for(tmp_path / "weights"), tmp_path / "run"
    flags = [f.replace("-data-", "_data_") for f in run_flags(sets, out, "--restore-from", weights, "--epochs", 14)]
    assert recipe("decision")([*flags, "--learning_rate=0.01"]) == 0
    printed = capsys.readouterr().out
    rows = {row["name"]: row for row in json.loads((out / "result.json").read_text())["rows"]}
    network, mean, line = rows["decision network"], rows["mean of the training set"], rows["line on flow magnitude"]
    assert network["mae"] < 0.6 * mean["mae"] and network["mae"] < line["mae"] and network["rank"] > 0.8
    assert mean["rank"] is None and f"| {network['mae']:.2f} |" in printed
    metrics = [json.loads(text) for text in (out / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in metrics] == list(range(1, 15))
    best = min(record["validation_mae"] for record in metrics)
    assert network["mae"] == pytest.approx(best, abs=1e-9)
    assert metrics[1]["learning_rate"] == pytest.approx(0.01 * 0.99)
    assert read_image(out / "calibration.png").shape == (480, 480, 3)

    params, config = checkpoints.load(out / "weights")
    before, _ = checkpoints.load(weights)
    for name in ("segmentation", "flow"):
        jax.tree.map(np.testing.assert_array_equal, params[name], before[name])
    validation = read_set(sets[1])
    scores = decision_loop.predicted(params["decision"], validation.features, config=config.decision)
    assert calibration.mean_absolute_error(scores, validation.confidence) == pytest.approx(best, abs=1e-9)


def test_dropout_reaches_the_training(sets, tmp_path, capsys):
    losses = []
    for dropout in (0, 0.25):
        out = tmp_path / str(dropout)
        assert recipe("decision")(run_flags(sets, out, "--dropout", dropout, "--epochs", 1)) == 0
        assert json.loads((out / "settings.json").read_text())["dropout"] == dropout
        losses.append(json.loads((out / "metrics.jsonl").read_text())["loss"])
    assert losses[0] != losses[1]
    assert recipe("decision")(run_flags(sets, tmp_path / "all", "--dropout", 1)) == 2
    assert "Error parsing --dropout" in capsys.readouterr().err


def latest(folder):
    """Every array and number of the latest state, but for the seconds."""
    state = json.loads((folder / "latest/config/dvsnet.json").read_text())
    names = state["params"]
    like = checkpoints.matching.unflatten(
        {name: jax.ShapeDtypeStruct(tuple(a["shape"]), np.dtype(a["dtype"])) for name, a in names.items()}
    )
    arrays, record = training_state.load_state(folder / "latest", like)
    for epoch in record["epochs"]:
        epoch.pop("seconds")
    return checkpoints.matching.flatten(arrays), record


def assert_same_run(a, b):
    (arrays, record), (others, other_record) = latest(a), latest(b)
    assert record == other_record and arrays.keys() == others.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, others[name], err_msg=name)


def test_killed_and_resumed_ends_with_the_same_parameters(sets, tmp_path):
    weights = weights_for(tmp_path / "weights")
    more = ("--restore-from", weights, "--epochs", 4, "--save-every", 10)
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, str(TRAIN / "decision.py"), *run_flags(sets, killed, *more)]
    metrics, until = killed / "metrics.jsonl", time.monotonic() + 60
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and time.monotonic() < until:
            if metrics.exists() and len(metrics.read_text().splitlines()) >= 2:
                process.send_signal(signal.SIGKILL)
                process.wait()
            time.sleep(0.002)
    assert process.returncode == -signal.SIGKILL
    assert not (killed / "result.json").exists()
    main = recipe("decision")
    assert main(run_flags(sets, killed, *more)) == main(run_flags(sets, whole, *more)) == 0
    assert len(latest(whole)[1]["epochs"]) == 4
    assert_same_run(killed, whole)
    jax.tree.map(
        np.testing.assert_array_equal, checkpoints.load(killed / "weights")[0], checkpoints.load(whole / "weights")[0]
    )


@pytest.mark.parametrize("batch_size", [16, pytest.param(18, marks=pytest.mark.slow)])
def test_four_devices_train_as_one(sets, tmp_path, batch_size):
    """A batch of 16 is dealt out over them; one of 18 cannot be, and goes whole to each."""
    weights = weights_for(tmp_path / "weights")

    def flags(name):
        return run_flags(
            sets, tmp_path / name, "--batch-size", batch_size, "--epochs", 2, "--restore-from", weights,
            "--precision", "float32",
        )  # fmt: skip

    assert recipe("decision")(flags("one")) == 0
    devices = several_devices(4)
    command = [sys.executable, str(TRAIN / "decision.py"), *flags("four")]
    subprocess.run(command, env={**os.environ, **devices}, check=True, stdout=subprocess.DEVNULL)
    (one, one_record), (four, four_record) = latest(tmp_path / "one"), latest(tmp_path / "four")
    assert one.keys() == four.keys() and len(one_record["epochs"]) == len(four_record["epochs"]) == 2
    for name, array in one.items():  # as a whole: Adam moves single entries of nearly no gradient by rounding alone
        assert np.linalg.norm(four[name] - array) <= 1e-5 * np.linalg.norm(array), name
    for ours, others in zip(one_record["epochs"], four_record["epochs"], strict=True):
        assert others["loss"] == pytest.approx(ours["loss"], rel=1e-5)
        assert others["validation_mae"] == pytest.approx(ours["validation_mae"], rel=1e-5)


def test_stopped_within_an_epoch_or_between_the_saves(sets, tmp_path, monkeypatch):
    data, validation = map(read_set, sets)
    training = DecisionTraining(epochs=3, batch_size=128)

    def run(folder, **options):
        return decision_loop.train(data, validation, folder, training, config=SMALL, **options)

    run(tmp_path / "whole")

    def stop_at(wanted):
        def on_step(step, loss):
            if step == wanted:
                raise KeyboardInterrupt

        return on_step

    for step in (3, 6, 9):  # of four in an epoch
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "stopped", save_every=1, on_step=stop_at(step))
    real = decision_loop.save_state

    def full_disk(path, tree, record):
        if path.name == "latest" and len(record["epochs"]) == 3:
            raise InputError("disk full")  # after best/ and metrics.jsonl were written
        real(path, tree, record)

    with monkeypatch.context() as context, pytest.raises(InputError, match="disk full"):
        context.setattr(decision_loop, "save_state", full_disk)
        run(tmp_path / "stopped")
    run(tmp_path / "stopped")
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")


def test_full_disk_keeps_the_state_before(tmp_path, monkeypatch):
    training_state.save_state(tmp_path / "state", {"a": np.ones(3, np.float32)}, {"epoch": 1})

    def full(folder):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context, pytest.raises(InputError, match="No space left") as raised:
        context.setattr(training_state.checksums, "write_checksums", full)
        training_state.save_state(tmp_path / "state", {"a": np.zeros(3, np.float32)}, {"epoch": 2})
    assert "unchanged" in str(raised.value)
    tree, record = training_state.load_state(tmp_path / "state", {"a": np.zeros(3, np.float32)})
    assert record == {"epoch": 1} and tree["a"].tolist() == [1, 1, 1]
    with pytest.raises(InputError, match="shape"):
        training_state.load_state(tmp_path / "state", {"a": np.zeros(4, np.float32)})


def test_loss_that_is_not_finite_stops_and_keeps_the_state(sets, tmp_path, capsys):
    weights = weights_for(tmp_path / "weights")
    flags = run_flags(sets, tmp_path / "run", "--restore-from", weights, "--learning-rate", 1e30, "--save-every", 1)
    assert recipe("decision")(flags) == 1
    said = capsys.readouterr().err
    assert "expected a finite number" in said and "--learning-rate" in said and said.count("\n") == 1
    arrays, record = latest(tmp_path / "run")
    assert all(np.isfinite(array).all() for array in arrays.values()) and record["epochs"] == []
    assert not (tmp_path / "run" / "weights").exists()


def test_another_run_is_refused_and_more_epochs_are_not(sets, tmp_path, capsys):
    data, validation = map(read_set, sets)

    def run(**options):
        training = DecisionTraining(**{"epochs": 1, "batch_size": 100, **options})
        decision_loop.train(data, validation, tmp_path / "run", training, config=SMALL)

    run()
    with pytest.raises(InputError, match=r"learning_rate was 0.002 and is now 0.1"):
        run(learning_rate=0.1)
    run(epochs=2)
    assert len(latest(tmp_path / "run")[1]["epochs"]) == 2


def bad_x(folder, change):
    np.save(folder / "X.npy", change(np.load(folder / "X.npy")))


def bad_y(folder, change):
    np.save(folder / "Y.npy", change(np.load(folder / "Y.npy")))


@pytest.mark.parametrize(
    "spoil,says",
    [
        (lambda f: (bad_x(f, lambda x: x[:0]), bad_y(f, lambda y: y[:0])), "empty"),
        (lambda f: bad_y(f, lambda y: y[:-1]), "X.npy has 20 samples and Y.npy 19"),
        (lambda f: bad_x(f, lambda x: x[:, :1]), "features are 1×3×5, and W has 2×3×5"),
        (lambda f: bad_x(f, lambda x: x.astype(object)), "cannot be read"),
        (lambda f: bad_x(f, lambda x: x.astype(np.int32)), "int32"),
        (lambda f: bad_x(f, lambda x: np.where(np.arange(20)[:, None, None, None] == 7, np.nan, x)), "sample 7"),
        (lambda f: bad_y(f, lambda y: np.where(y == y[3], np.inf, y)), "1 of 20 values"),
        (lambda f: bad_y(f, lambda y: y + 101), "0 to 100"),
        (lambda f: bad_y(f, lambda y: y[:, None].repeat(2, 1)), "shape"),
        (lambda f: (f / "Y.npy").write_bytes(b"\x93NUMPY"), "cannot be read"),
        (lambda f: (f / "X.npy").unlink(), "is not there"),
        (lambda f: np.save(f / "flow_magnitude.npy", np.ones(3)), "has 3 values, expected 20"),
    ],
)
def test_bad_sets_are_refused(tmp_path, spoil, says):
    folder = write_set(tmp_path / "set", 20, 0)
    spoil(folder)
    with pytest.raises(InputError, match=says) as raised:
        read_set(folder, (2, 3, 5), grid_of="W")
    assert "\n" not in str(raised.value)


def test_the_originals_sets_are_read(tmp_path):
    folder = write_set(tmp_path / "set", 20, 0)
    (folder / "flow_magnitude.npy").unlink()
    bad_y(folder, lambda y: y[:, None])  # a column
    data = read_set(folder)
    assert len(data) == 20 and data.flow_magnitude is None and data.confidence.shape == (20,)


def test_void_is_not_the_same_as_void():
    """Where segmenting gives what is no number there is no agreement to learn from; it used to be 100 percent."""
    frames = marked(2)
    for red, path in ((100, "key"), (101, "current")):
        sample = pair_samples(simple_params({"red": red, "value": np.nan}), frames[0], frames[1], config=SIMPLE)
        assert np.isnan(sample.confidence).tolist() == np.isnan(sample.copied).tolist() == [True, False], path
