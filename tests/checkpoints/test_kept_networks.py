"""Networks of the user's own: named, kept beside the weights trained around them, and used from there."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import sys
from importlib import import_module
from importlib.util import find_spec

import jax
import numpy as np
import pytest
from PIL import Image
from tiny import CARRIED, video

from dvsnet_jax import ImageInput, checkpoints, networks, preprocessing
from dvsnet_jax.checkpoints import accelerator
from dvsnet_jax.checkpoints.own import hugging_face
from dvsnet_jax.checkpoints.own.weight_files import WEIGHTS, read_state_dict, write_weights
from dvsnet_jax.cli import main
from dvsnet_jax.config import OwnSegmentationConfig
from dvsnet_jax.errors import InputError
from dvsnet_jax.program import load_program

PROCESSOR = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4], "rescale_factor": 1 / 255}
NAMES = {0: "road", 1: "car", 2: "sky"}
MAKE = """
import torch
from dvsnet_jax import ImageInput
def make():
    torch.manual_seed(SEED)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3, stride=4, padding=1), torch.nn.BatchNorm2d(3))
    return network, ImageInput.imagenet(), ("road", "car", "sky")
"""


@pytest.fixture(scope="module")
def transformers():
    if not (find_spec("torchax") and find_spec("transformers")):
        pytest.skip("needs the extra torch")
    from dvsnet_jax.networks.pytorch.importing import environment

    environment()
    import transformers

    return transformers


@pytest.fixture(scope="module")
def folder(transformers, tmp_path_factory):
    """A small SegFormer in Hugging Face's layout."""
    import torch

    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        hidden_sizes=[4, 4, 8, 8], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=8,
        id2label=NAMES,
    )  # fmt: skip
    network = transformers.SegformerForSemanticSegmentation(config)
    network.decode_head.classifier.weight.data *= 50
    place = tmp_path_factory.mktemp("hf") / "segformer"
    network.save_pretrained(place)
    (place / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return place


def accelerated(place, network):
    """A checkpoint around a network, fresh but for it."""
    config = CARRIED.replace(segmentation=network.function)
    params = {**networks.init_params(jax.random.key(0), config), "segmentation": network.params}
    checkpoints.save_accelerator(place, params, config, network)
    return params, config


def frames(place, count=4):
    place.mkdir()
    for index, frame in enumerate(video(count)):
        Image.fromarray(frame[0]).save(place / f"{index}.png")
    return str(place)


def scores_of(params, config):
    return networks.segmentation_scores(params, video(1)[0], config)


def test_a_folder_of_hugging_face_is_kept_whole_and_used_in_every_command(folder, tmp_path, capsys):
    network = checkpoints.open_network(str(folder))
    assert network.function.classes == ("road", "car", "sky")
    assert network.stored.inputs == ImageInput(mean=(0.4, 0.5, 0.6), deviation=(0.2, 0.3, 0.4))
    params, config = accelerated(tmp_path / "weights", network)
    assert sorted(file.name for file in (tmp_path / "weights" / "segmentation").iterdir()) == (
        ["config.json", "model.safetensors", "preprocessor_config.json"]
    )
    again, loaded = checkpoints.load(tmp_path / "weights")
    np.testing.assert_array_equal(scores_of(again, loaded), scores_of(params, config))

    weights, clip = str(tmp_path / "weights"), frames(tmp_path / "clip")
    assert main(["segment", clip, "--weights", weights, "--out", str(tmp_path / "out"), "--no-overlay"]) == 0
    assert main(["info", "--weights", weights, "--size", "64x96"]) == 0
    assert "road" not in capsys.readouterr().err
    program = str(tmp_path / "step.dvsnet")
    assert main(["export", program, "--weights", weights, "--size", "64x96", "--platforms", "cpu"]) == 0
    assert [each["name"] for each in load_program(program).manifest["classes"]] == ["road", "car", "sky"]
    run = ["segment", clip, "--program", program, "--out", str(tmp_path / "run"), "--no-overlay"]
    assert main(run) == 0
    for file in sorted((tmp_path / "out" / "labels").iterdir()):
        assert file.read_bytes() == (tmp_path / "run" / "labels" / file.name).read_bytes()
    # Damage is found as anywhere in a checkpoint.
    (tmp_path / "weights" / "segmentation" / "config.json").write_text("{}")
    assert main(["segment", clip, "--weights", weights, "--out", str(tmp_path / "no")]) == 1
    assert "segmentation/config.json is not as saved" in capsys.readouterr().err


def test_a_network_of_one_size_is_told_of(transformers, tmp_path, capsys, monkeypatch):
    config = transformers.EomtConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=64, patch_size=16, num_blocks=1,
        num_queries=4, id2label=NAMES, num_upscale_blocks=1,
    )  # fmt: skip
    transformers.EomtForUniversalSegmentation(config).save_pretrained(tmp_path / "eomt")
    (tmp_path / "eomt" / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    logged = []  # a hundred lines of torch's, of the attempt with another size
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", logged.append)
    monkeypatch.setattr(logging.getLogger("torch._subclasses.fake_tensor"), "handlers", [handler])
    network = checkpoints.open_network(str(tmp_path / "eomt"))
    assert not logged
    assert network.stored.inputs.size == (64, 64) and network.function.num_classes == 3
    accelerated(tmp_path / "weights", network)
    capsys.readouterr()
    command = ["segment", frames(tmp_path / "clip", 1), "--weights", str(tmp_path / "weights"), "--no-overlay"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    assert "takes images of 64×64 alone, so each region is resized" in capsys.readouterr().err


def test_patches_of_a_backbone_are_kept_whole(transformers, tmp_path):
    """What a network of patches of 14 pixels is given is enlarged to a multiple of that, wherever its size stands: of
    a region of 64×96 it would see 56×84, and its scores would lie as if that were all."""
    backbone = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, mlp_ratio=1, image_size=28, patch_size=14,
        out_indices=[1, 2, 3, 4], apply_layernorm=False,
    )  # fmt: skip
    config = transformers.UperNetConfig(
        backbone_config=backbone, hidden_size=8, auxiliary_channels=4, auxiliary_in_channels=16, id2label=NAMES,
    )  # fmt: skip
    transformers.UperNetForSemanticSegmentation(config).save_pretrained(tmp_path / "upernet")
    (tmp_path / "upernet" / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    network = checkpoints.open_network(str(tmp_path / "upernet"))
    assert network.stored.inputs.fitted(64, 96) == (70, 98)


def test_networks_that_want_more_than_an_image_are_refused(tmp_path):
    for kind, said in (("oneformer", "OneFormer writes at places that it finds"), ("videomt", "segments clips")):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
        write_weights(tmp_path / "model.safetensors", {"a": np.zeros(1)})
        with pytest.raises(InputError, match=said):
            checkpoints.open_network(str(tmp_path))


def test_a_module_of_a_python_file_is_named_again_and_has_the_weights_that_were_kept(transformers, tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(MAKE.replace("SEED", "1"))
    spec = f"{file}:make"
    network = checkpoints.open_network(spec)
    params, config = accelerated(tmp_path / "weights", network)
    file.write_text(MAKE.replace("SEED", "2"))  # it would make others now
    again, loaded = checkpoints.load_around(tmp_path / "weights", spec)
    np.testing.assert_array_equal(scores_of(again, loaded), scores_of(params, config))
    clip, weights = frames(tmp_path / "clip", 2), str(tmp_path / "weights")
    run = ["segment", clip, "--weights", weights, "--out", str(tmp_path / "out"), "--no-overlay"]
    assert main(run) == 1
    assert f"name it: --segmentation {spec}" in capsys.readouterr().err
    assert main([*run, "--segmentation", spec]) == 0
    file.write_text(MAKE.replace("SEED", "1").replace("3, 3, 3,", "3, 3, 5,"))
    with pytest.raises(InputError, match=r"weights of another network than .* 1 are missing.*\(0.weight\)"):
        checkpoints.load_around(tmp_path / "weights", spec)


FUNCTION = """
import jax.numpy as jnp
from dvsnet_jax import SegmentationFunction
def scores(params, images):
    return images[:, ::8, ::8] * params["w"]
def make():
    return SegmentationFunction(function=scores, num_classes=3), {"w": jnp.ones(3)}
"""


def test_what_a_killed_save_left_aside_is_read_whole(tmp_path, monkeypatch):
    """Weights, and what is kept beside them of the network, which the file may not make any more."""
    pytest.importorskip("safetensors", reason="needs the extra import")
    file = tmp_path / "mine.py"
    file.write_text(FUNCTION)
    made = checkpoints.open_network(f"{file}:make")  # as of a module, whose weights are kept
    network = made._replace(write=lambda folder: write_weights(folder / WEIGHTS, made.params))
    accelerated(tmp_path / "weights", network)
    other = network._replace(params={"w": 2 * made.params["w"]})
    monkeypatch.setattr(accelerator, "open_network", lambda spec: other)
    for _ in range(2):
        params, _ = checkpoints.load_around(tmp_path / "weights", f"{file}:make")
        assert np.asarray(params["segmentation"]["w"]).tolist() == [1.0, 1.0, 1.0]
        if (tmp_path / "weights").exists():
            (tmp_path / "weights").rename(tmp_path / ".weights.previous")


def test_torchvisions_networks_by_name(transformers, tmp_path):
    try:
        from torchvision.models import segmentation
    except Exception as error:
        pytest.skip(f"torchvision: {error}")
    import torch

    torch.manual_seed(0)
    module = segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5)
    torch.save({"model": module.state_dict()}, tmp_path / "weights.pth")
    network = checkpoints.open_network(f"torchvision:lraspp_mobilenet_v3_large:{tmp_path / 'weights.pth'}")
    assert network.function.num_classes == 5 and network.function.classes is None
    params, config = accelerated(tmp_path / "kept", network)
    (tmp_path / "weights.pth").unlink()
    again, loaded = checkpoints.load(tmp_path / "kept")
    np.testing.assert_array_equal(scores_of(again, loaded), scores_of(params, config))
    with pytest.raises(InputError, match=r"does not fit fcn_resnet50|is no state_dict of fcn_resnet50"):
        checkpoints.open_network(f"torchvision:fcn_resnet50:{tmp_path / 'kept' / 'segmentation' / 'model.safetensors'}")


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_state_dicts_are_read_in_every_precision_and_from_where_trainings_put_them(transformers, tmp_path, precision):
    import torch
    from safetensors.torch import save_file

    kind = getattr(torch, precision)
    state = {"a.weight": torch.tensor([0.5, -2.0], dtype=kind), "a.steps": torch.tensor(3)}
    save_file(state, tmp_path / "w.safetensors")
    parallel = {f"module.{name}": value for name, value in state.items()}
    for index, content in enumerate([state, {"model": state}, {"model": "fcn", "state_dict": state}, parallel]):
        torch.save(content, tmp_path / f"{index}.pth")
    files = sorted(tmp_path.iterdir())
    assert len(files) == 5
    for file in files:
        read = read_state_dict(file)
        assert set(read) == set(state) and read["a.weight"].dtype == torch.float32 and int(read["a.steps"]) == 3
        assert read["a.weight"].tolist() == [0.5, -2.0]
    torch.save({"model": torch.ones(2), "epoch": 3}, tmp_path / "no.pth")
    with pytest.raises(InputError, match="its state_dict is not all tensors: epoch"):
        read_state_dict(tmp_path / "no.pth")


def test_a_folder_of_half_precision_is_float32_here(folder, transformers, tmp_path):
    import shutil

    import torch

    network = transformers.SegformerForSemanticSegmentation.from_pretrained(folder)
    for kind in (torch.float16, torch.bfloat16):
        shutil.copytree(folder, place := tmp_path / str(kind))
        network.to(kind).save_pretrained(place)
        params = checkpoints.open_network(str(place)).params
        assert {str(leaf.dtype) for leaf in params.values()} <= {"float32", "int32"}


@pytest.mark.parametrize(
    "files, said",
    [
        ({}, "has no config.json, so it is no folder in Hugging Face's layout"),
        ({"config.json": "{"}, "cannot be read as JSON"),
        ({"config.json": "[1]"}, "expected a JSON object"),
        ({"config.json": "{}", "pytorch_model.bin": b"x"}, "only pytorch_model.bin, a pickle, which is not loaded"),
        ({"config.json": "{}", "model.safetensors": b"x"}, "has no preprocessor_config.json"),
        (
            {"config.json": "{}", "model.safetensors": b"x", "preprocessor_config.json": '{"image_mean": [1]}'},
            "expected image_mean and image_std",
        ),
    ],
)
def test_a_wrong_folder_is_told_in_one_line(files, said, tmp_path):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=said) as told:
        checkpoints.open_network(str(tmp_path))
    assert "\n" not in str(told.value)


def test_damaged_and_foreign_weights_are_told_in_one_line(folder, transformers, tmp_path):
    import shutil

    def changed(name, content):
        place = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        shutil.copytree(folder, place)
        (place / name).write_bytes(content)
        return str(place)

    other = transformers.SegformerConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], id2label=NAMES)
    trunk = changed("config.json", b"")
    transformers.SegformerForImageClassification(copy.copy(other)).save_pretrained(trunk)
    for place, said in (
        (trunk, "they are of SegformerForImageClassification, which does not segment"),
        (changed("model.safetensors", b"\x00" * 64), "is no segmentation network of transformers, or a damaged one"),
        (changed("model.safetensors", pickle.dumps({"weight": 1})), "or a damaged one"),
        (changed("config.json", b'{"model_type": "bert"}'), "is no segmentation network of transformers"),
        (changed("config.json", b'{"model_type": "nothing"}'), "is no segmentation network of transformers"),
        (changed("config.json", other.to_json_string().encode()), "lack .* weights of SegformerFor.* save it again"),
    ):
        with pytest.raises(InputError, match=said) as told:
            checkpoints.open_network(place)
        assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "spec, said",
    [
        ("hf:one", "expected hf:ORG/NAME"),
        ("hf:../etc/passwd", "expected hf:ORG/NAME"),
        ("torchvision:unet:w.pth", "NAME is one of deeplabv3_mobilenet_v3_large"),
        ("torchvision:fcn_resnet50", "expected torchvision:NAME:WEIGHTS"),
        ("missing.py:make", r"missing\.py: no such file"),
        ("segformer", r"expected FILE\.py:FUNCTION"),
    ],
)
def test_a_spec_that_names_nothing_is_told_in_one_line(spec, said):
    with pytest.raises(InputError, match=said) as told:
        checkpoints.open_network(spec)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "body, said",
    [
        ("return None", "it returned NoneType"),
        ("return (1, 2)", r"it returned \(int, int\)"),
        ("return Module()", "a PyTorch module alone does not say how it wants its images"),
        ("raise KeyError('gone')", "it fails: KeyError: 'gone'"),
        ("raise SystemExit(2)", "it fails: SystemExit: 2"),
    ],
)
def test_a_function_that_makes_nothing_is_told_in_one_line(body, said, tmp_path):
    file = tmp_path / "own.py"
    file.write_text(f"class Module:\n    state_dict = None\ndef make():\n    {body}\n")
    with pytest.raises(InputError, match=said) as told:
        checkpoints.open_network(f"{file}:make")
    assert "\n" not in str(told.value)


def test_a_file_imports_what_lies_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", sys.path[:])
    (tmp_path / "network_of_mine.py").write_text(
        "def scores(params, images):\n    import other_of_mine\n    return images\n"
    )
    (tmp_path / "other_of_mine.py").write_text("")
    (tmp_path / "make.py").write_text(
        "from dvsnet_jax import SegmentationFunction\nfrom network_of_mine import scores\n"
        "def make():\n    return SegmentationFunction(function=scores, num_classes=3), {}\n"
    )
    network = checkpoints.open_network(f"{tmp_path / 'make.py'}:make")
    assert network.function.function({}, np.zeros(3)).shape == (3,)


def test_a_function_that_is_not_there(tmp_path):
    file = tmp_path / "own.py"
    file.write_text("makes = 3\n")
    for name in ("make", "makes"):
        with pytest.raises(InputError, match=f"own.py has no function {name}; check its name"):
            checkpoints.open_network(f"{file}:{name}")


def test_what_processors_say(tmp_path):
    def read(name="preprocessor_config.json", **said):
        for file in tmp_path.iterdir():
            file.unlink()
        (tmp_path / name).write_text(json.dumps(said))
        return hugging_face.image_input(tmp_path)

    mean, std = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]
    assert read(image_mean=mean, image_std=std) == ImageInput(mean=tuple(mean), deviation=tuple(std))
    assert read(do_normalize=False, do_rescale=False) == ImageInput(mean=(0, 0, 0), scale=1)
    flipped = read(do_normalize=False, rescale_factor=0.5, do_flip_channel_order=True)
    assert flipped == ImageInput(mean=(0, 0, 0), scale=0.5, order="bgr")
    old = read(feature_extractor_type="MobileViTFeatureExtractor", do_flip_channel_order=False)
    assert old == ImageInput(mean=(0, 0, 0))
    nested = read("processor_config.json", image_processor={"image_mean": mean, "image_std": std})
    assert nested == ImageInput(mean=tuple(mean), deviation=tuple(std))


@pytest.mark.parametrize(
    "name", ["segformer", "mobilevit", "beit", "dpt", "mobilenet_v2", "mask2former", "maskformer", "eomt"]
)
def test_images_are_as_the_processors_own_make_them(transformers, tmp_path, name):
    """Of each as transformers writes it, pixel by pixel; sizes aside, which are the frames' own."""
    try:
        module = import_module(f"transformers.models.{name}.image_processing_pil_{name}")
    except ImportError as error:
        pytest.skip(f"transformers: {error}")
    (made,) = (
        getattr(module, each)
        for each in dir(module)
        if each.endswith("ImageProcessorPil") and each.lower().startswith(name.replace("_", ""))
    )
    processor = made(do_resize=False, do_center_crop=False, do_pad=False)
    processor.save_pretrained(tmp_path)
    image = video(1)[0, 0]
    theirs = np.asarray(processor(image, return_tensors="np")["pixel_values"])[0].transpose(1, 2, 0)
    ours = preprocessing.as_wanted(image[None], hugging_face.image_input(tmp_path))[0]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_without_its_libraries_a_kept_network_says_what_to_install(tmp_path, monkeypatch):
    own = OwnSegmentationConfig(num_classes=3, source="hf:a/b", inputs=ImageInput.imagenet())
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "torch", None)
    from dvsnet_jax.checkpoints.own.network import kept_network
    from dvsnet_jax.networks.pytorch.importing import environment

    environment.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'dvsnet-jax\[torch\]'"):
        kept_network(tmp_path, own)
    assert kept_network(tmp_path / "nothing", own) is None
