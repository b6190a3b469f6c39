"""A PyTorch module on the segmentation path: the same scores as torch, and one clear line for what cannot be taken."""

from __future__ import annotations

import sys
from collections import OrderedDict
from importlib.util import find_spec
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dvsnet_jax import DVSNetConfig, ImageInput, networks, preprocessing
from dvsnet_jax.config import OwnSegmentationConfig
from dvsnet_jax.config_json import from_json, to_json
from dvsnet_jax.errors import InputError
from dvsnet_jax.networks.pytorch import importing
from dvsnet_jax.networks.pytorch.outputs import class_scores, on_grid, stride_of
from dvsnet_jax.ops.resize import resize_half_pixel
from dvsnet_jax.ops.upsample_argmax import upsample_argmax

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype(np.uint8)
WANTS = ImageInput.imagenet()


@pytest.fixture(scope="module")
def torch():
    if not (find_spec("torchax") and find_spec("torch")):
        pytest.skip("needs the extra torch")
    importing.environment()
    import torch

    return torch


def small(torch, classes=4, last=None):
    torch.manual_seed(0)
    nn = torch.nn
    body = [nn.Conv2d(3, 6, 3, stride=4, padding=1), nn.BatchNorm2d(6), nn.Dropout(0.5), nn.ReLU()]
    network = nn.Sequential(*body, nn.Conv2d(6, classes, 1), *([last] if last else []))
    network[1].running_mean.uniform_(-1, 1)
    return network


def torch_scores(torch, network, inputs=WANTS):
    network = network.eval()
    images = IMAGES[..., ::-1] if inputs.order == "bgr" else IMAGES
    wanted = (images.astype(np.float64) * inputs.scale - inputs.mean) / inputs.deviation
    with torch.no_grad():
        return network(torch.tensor(wanted.transpose(0, 3, 1, 2), dtype=torch.float32))


def test_scores_and_labels_are_the_modules_own(torch):
    module = small(torch).train()
    network, params = networks.from_torch(module, WANTS, classes=["road", "car", "sky", "tree"])
    assert module.training, "the module given is left as it was"
    assert network.classes == ("road", "car", "sky", "tree") and network.num_classes == 4
    assert set(params) == {*dict(module.named_parameters()), *dict(module.named_buffers())}
    assert all(isinstance(leaf, jax.Array) for leaf in params.values())
    config = DVSNetConfig(segmentation=network)
    scores = jax.jit(networks.segmentation_scores, static_argnums=2)({"segmentation": params}, IMAGES, config)
    theirs = torch_scores(torch, module)
    assert scores.shape == (2, 32, 48, 4)
    labels, _ = upsample_argmax(scores, (64, 96))
    whole = torch.nn.functional.interpolate(theirs, (64, 96), mode="bilinear", align_corners=False)
    # On noise, the hardest case (`outputs.stride_of` has real frames); and what they would be if taken as they are.
    as_they_are, _ = upsample_argmax(jnp.moveaxis(jnp.asarray(theirs.numpy()), 1, -1), (64, 96))
    ours, other = (np.mean(np.asarray(each) == whole.argmax(1).numpy()) for each in (labels, as_they_are))
    assert ours > 0.96 and other < 0.9
    # In the middle of what the network itself gave, to rounding: what lies between is theirs too.
    np.testing.assert_allclose(on_grid(jnp.asarray(theirs.numpy()), (32, 48), (64, 96)), scores, atol=1e-5)
    one = jax.jit(networks.segmentation_scores, static_argnums=2)({"segmentation": params}, IMAGES[:1], config)
    np.testing.assert_allclose(one[0], scores[0], atol=1e-5)  # any batch


def test_the_weights_are_parameters_not_constants(torch):
    network, params = networks.from_torch(small(torch), WANTS)
    changed = {**params, "4.bias": params["4.bias"].at[2].add(100.0)}
    images = jnp.asarray(IMAGES, jnp.float32)
    assert (np.asarray(network.function(changed, images)).argmax(-1) == 2).all()
    assert not (np.asarray(network.function(params, images)).argmax(-1) == 2).all()


def test_prepared_in_bfloat16_it_runs_in_that(torch):
    network, params = networks.from_torch(small(torch), WANTS)
    config = DVSNetConfig(segmentation=network)
    whole = networks.segmentation_scores({"segmentation": params}, IMAGES, config)
    prepared = networks.prepare({"segmentation": params}, config, precision="bfloat16")
    assert {str(leaf.dtype) for leaf in prepared["segmentation"].values()} == {"bfloat16", "int32"}
    scores = networks.segmentation_scores(prepared, IMAGES, config)
    assert scores.dtype == jnp.float32 and 0 < abs(scores - whole).max() < 0.05 * whole.std() * 4


def test_what_it_wants_is_what_it_gets(torch):
    wants = ImageInput(mean=(10.0, 20.0, 30.0), deviation=(2.0, 3.0, 4.0), scale=1.0, order="bgr")
    images = preprocessing.as_wanted(IMAGES, wants)
    expected = (IMAGES[..., ::-1].astype(float) - [10, 20, 30]) / [2, 3, 4]
    np.testing.assert_allclose(images, expected, atol=1e-4)
    network, params = networks.from_torch(small(torch), wants)
    scores = network.function(params, jnp.asarray(IMAGES, jnp.float32))
    theirs = torch_scores(torch, small(torch), wants)
    np.testing.assert_allclose(on_grid(jnp.asarray(theirs.numpy()), (32, 48), (64, 96)), scores, rtol=1e-4, atol=1e-3)


def test_a_network_of_one_size_gets_its_regions_resized(torch):
    class Fixed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = small(torch)
            self.places = torch.nn.Parameter(torch.zeros(1, 4, 12, 16))

        def forward(self, images):
            return {"out": self.network(images) + self.places}

    with pytest.raises(InputError, match=r"Fixed fails on an image of 3×256×320: .*ImageInput\(size=…\)"):
        networks.from_torch(Fixed(), WANTS)
    network, params = networks.from_torch(Fixed(), ImageInput.imagenet(size=(48, 64)))
    seen = network.function(params, jnp.asarray(IMAGES, jnp.float32))
    assert seen.shape == (2, 32, 48, 4)
    np.testing.assert_allclose(preprocessing.as_wanted(np.full((1, 64, 96, 3), 7), ImageInput(
        mean=(0, 0, 0), scale=1, multiple=40)), np.full((1, 80, 120, 3), 7.0), rtol=1e-6)  # fmt: skip


def test_a_branch_on_a_buffer_is_settled_and_one_on_the_image_refused(torch):
    class Annealed(torch.nn.Module):
        """As EoMT in transformers: a buffer says whether attention is masked."""

        def __init__(self, on):
            super().__init__()
            self.network = small(torch)
            self.register_buffer("masked", torch.tensor([1.0, 0.0]))
            self.on = on

        def forward(self, images):
            scores = self.network(images)
            what = self.masked[0] if self.on == "buffer" else images.mean()
            return scores + 50 if what > 0 else scores

    network, params = networks.from_torch(Annealed("buffer"), WANTS)
    assert "masked" not in params and "network.0.weight" in params
    assert np.asarray(network.function(params, jnp.asarray(IMAGES, jnp.float32))).mean() > 40
    with pytest.raises(InputError, match="branches on what is in a tensor"):
        networks.from_torch(Annealed("image"), WANTS)


def test_a_half_finished_or_foolish_network_is_told_in_one_line(torch):
    class Gives(torch.nn.Module):
        def __init__(self, what):
            super().__init__()
            self.what = what

        def forward(self, images):
            return self.what(images)

    for what, said in (
        (lambda images: None, "it gives NoneType, expected scores"),
        (lambda images: "road", "it gives str, expected scores"),
        (lambda images: images.argmax(1), r"int\d+\[1, 256, 320\]"),
        (lambda images: (images > 0).int(), "floating point"),
        (lambda images: images.mean((2, 3)), r"float32\[1, 3\]"),
        (lambda images: images[:, :1], "1 classes, but labels are uint8"),
        (lambda images: images @ images, "fails on an image"),
    ):
        with pytest.raises(InputError, match=said) as told:
            networks.from_torch(Gives(what), WANTS)
        assert "\n" not in str(told.value)
    with pytest.raises(InputError, match="4 classes, but 2 are named"):
        networks.from_torch(small(torch), WANTS, classes=["road", "car"])
    with pytest.raises(InputError, match=r"expected a torch\.nn\.Module, but this is a dict"):
        networks.from_torch({"weight": 1}, WANTS)
    with pytest.raises(InputError, match="stride is 3"):
        networks.from_torch(small(torch), WANTS, stride=3)
    broken = small(torch)
    broken[4].weight.data[0] = float("nan")
    with pytest.raises(InputError, match=r"1 of its weights are no finite numbers \(4.weight\)"):
        networks.from_torch(broken, WANTS)


def test_never_and_surely_pass_and_nan_is_void(torch):
    class Masked(torch.nn.Module):
        def __init__(self, value):
            super().__init__()
            self.network, self.value = small(torch), value

        def forward(self, images):
            scores = self.network(images)
            return torch.cat([torch.full_like(scores[:, :1], self.value), scores[:, 1:]], 1)

    def scored(value):
        network, params = networks.from_torch(Masked(value), WANTS)
        config = DVSNetConfig(segmentation=network)
        return networks.segmentation_scores({"segmentation": params}, IMAGES, config)

    labels, _ = upsample_argmax(scored(float("-inf")), (64, 96))
    assert 0 not in np.asarray(labels) and np.asarray(labels).max() < 4
    labels, _ = upsample_argmax(scored(float("nan")), (64, 96))
    assert (np.asarray(labels) == 255).all()


def test_every_kind_of_output_is_understood():
    scores = jnp.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    objects = (OrderedDict(logits=scores), SimpleNamespace(logits=scores))
    for output in (scores, {"out": scores, "aux": scores + 1}, *objects, (scores, scores + 1), [scores]):
        np.testing.assert_array_equal(class_scores(output), scores)
    queries = jnp.array([[[2.0, 0.0, -1.0], [0.0, 1.0, 9.0]]])  # [1, 2 queries, 2 classes + none]
    masks = jnp.stack([jnp.full((3, 4), 1.0), jnp.full((3, 4), -1.0)])[None]
    given = class_scores({"class_queries_logits": queries, "masks_queries_logits": masks})
    each = np.exp(queries) / np.exp(queries).sum(-1, keepdims=True)
    sigmoid = 1 / (1 + np.exp([-1.0, 1.0]))
    np.testing.assert_allclose(given[0, :, 0, 0], (each[0, :, :2] * sigmoid[:, None]).sum(0), rtol=1e-5)
    layered = {"class_queries_logits": (queries + 1, queries), "masks_queries_logits": (masks * 0, masks)}
    np.testing.assert_allclose(class_scores(layered), given, rtol=1e-6)  # of each layer: the last one's


def test_scores_lie_where_the_frame_step_has_them():
    smooth = jnp.asarray(np.random.default_rng(1).normal(size=(1, 3, 8, 12)), jnp.float32)
    whole = resize_half_pixel(jnp.moveaxis(smooth, 1, -1), (32, 48))  # each pixel's, as torch enlarges
    np.testing.assert_allclose(on_grid(smooth, (16, 24), (32, 48)), whole[:, ::2, ::2], atol=1e-5)
    never = smooth.at[:, 1].set(-jnp.inf)
    assert np.isfinite(on_grid(never, (16, 24), (32, 48))).all()
    assert [stride_of((h, w), (64, 96)) for h, w in ((64, 96), (16, 24), (8, 12), (4, 6), (2, 3), (5, 7))] == (
        [2, 2, 4, 8, 16, 4]
    )


def test_what_a_network_wants_is_stored_and_checked():
    own = OwnSegmentationConfig(
        num_classes=2, classes=("a", "b"), source="hf:a/b", inputs=ImageInput.imagenet(size=(8, 9))
    )
    config = DVSNetConfig(segmentation=own)
    assert from_json(to_json(config)) == config
    for wrong in ({"deviation": (0.0, 1.0, 1.0)}, {"mean": (1.0,)}, {"order": "gbr"}, {"scale": 0.0}, {"multiple": 0}):
        with pytest.raises(ValueError):
            ImageInput(**{"mean": (0.0, 0.0, 0.0), **wrong})
    with pytest.raises(ValueError, match="1 names of classes"):
        OwnSegmentationConfig(num_classes=2, classes=("a",))


def test_missing_libraries_are_told_in_one_line(monkeypatch):
    importing.environment.cache_clear()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"needs torch, which is not here; pip install 'dvsnet-jax\[torch\]'"):
        networks.from_torch(None, WANTS)
    monkeypatch.undo()
    pytest.importorskip("torch")
    monkeypatch.setitem(sys.modules, "torchax", None)
    with pytest.raises(InputError, match=r"torchax.*pip install 'dvsnet-jax\[torch\]'"):
        networks.from_torch(None, WANTS)


def test_a_torch_that_torchax_cannot_take_is_named(monkeypatch, tmp_path):
    torch = pytest.importorskip("torch")
    importing.environment.cache_clear()
    (tmp_path / "torchax.py").write_text("import torch\ntorch.ops.aten.prod.no_such_overload\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchax"]:
        monkeypatch.delitem(sys.modules, name)  # and there again afterwards
    with pytest.raises(
        InputError, match=rf"does not work with torch {torch.__version__.split('+')[0]}.*2\.11 to 2\.13"
    ):
        networks.from_torch(None, WANTS)
    importing.environment.cache_clear()


def test_convolutions_have_their_channels_last_and_are_torchs(torch):
    torch.manual_seed(1)
    nn = torch.nn
    layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4, bias=False),
              nn.Conv2d(8, 8, 5, padding=2, groups=8), nn.Conv2d(8, 8, 3, padding=(1, 0), groups=8),
              nn.ConvTranspose2d(8, 6, (3, 2), (2, 3), (1, 0), (1, 2)), nn.ConvTranspose2d(6, 6, 2, 2, groups=3),
              nn.Conv2d(6, 4, (1, 3), padding="same"), nn.Conv2d(4, 7, 1, 2), nn.Conv2d(7, 4, 1, padding=1),
              nn.Conv2d(4, 4, 1, groups=2)]  # fmt: skip
    network, params = networks.from_torch(nn.Sequential(*layers), WANTS)
    with torch.no_grad():
        image = torch.randn(2, 3, 32, 48)
        theirs = nn.Sequential(*layers)(image).numpy()
    jaxpr = jax.make_jaxpr(network.function.function)(params, jnp.asarray(image.numpy()))
    np.testing.assert_allclose(network.function.function(params, jnp.asarray(image.numpy())), theirs, atol=1e-5)
    specs = [
        equation.params["dimension_numbers"].lhs_spec
        for equation in jaxpr.eqns
        if equation.primitive.name == "conv_general_dilated"
    ]
    assert specs == [(0, 3, 1, 2)] * 8  # in the router's loop XLA:CPU takes others on its slowest path
    # One more is depthwise, and shifted multiply-adds on a CPU; one is 1×1, and a product of matrices.
    assert str(jaxpr).count("dot_general[") == 1
    compiled = jax.jit(network.function.function).lower(params, jnp.asarray(image.numpy())).compile().as_text()
    assert compiled.count("feature_group_count=8") == (jax.default_backend() == "cpu")  # the uneven one's alone


@pytest.mark.parametrize(
    "how",
    [
        {"size": (37, 50)}, {"size": (9, 11)}, {"size": (37, 50), "align_corners": True}, {"scale_factor": 2.0},
        {"scale_factor": (1.7, 2.3)}, {"scale_factor": (1.7, 2.3), "recompute_scale_factor": True},
        {"scale_factor": 1.01}, {"scale_factor": (1.01, 1.3)},  # torch.compile's, and torchax's, is another
    ],
    ids=str,
)  # fmt: skip
def test_bilinear_enlarging_is_torchs_and_has_its_channels_last(torch, how):
    class Enlarged(torch.nn.Module):
        def forward(self, images):
            return torch.nn.functional.interpolate(images, mode="bilinear", **how)

    images = torch.randn(2, 3, 16, 24, generator=torch.Generator().manual_seed(2))
    network, params = networks.from_torch(Enlarged(), WANTS)
    array = jnp.asarray(images.numpy())
    np.testing.assert_allclose(network.function.function(params, array), Enlarged()(images).numpy(), atol=1e-5)
    jaxpr = jax.make_jaxpr(network.function.function)(params, array)
    assert {eqn.params["permutation"] for eqn in jaxpr.eqns if eqn.primitive.name == "transpose"} >= {(0, 2, 3, 1)}


@pytest.mark.parametrize("how", ["whole", "pyramid", "uneven", "windows", "padded"])
def test_pools_of_bfloat16_are_summed_as_torch_sums_them(torch, how):
    functional = torch.nn.functional
    pools = {
        "whole": lambda images: functional.avg_pool2d(images, (64, 96)),
        "pyramid": lambda images: functional.adaptive_avg_pool2d(images, 2),  # as PSPNet's and UperNet's
        "uneven": lambda images: functional.adaptive_avg_pool2d(images, (5, 7)),
        "windows": lambda images: functional.avg_pool2d(images, 32, stride=16, ceil_mode=True),
        "padded": lambda images: functional.avg_pool2d(images, 31, stride=8, padding=15, count_include_pad=False),
    }
    pooled = torch.nn.Module()
    pooled.forward = pools[how]
    network, params = networks.from_torch(pooled, WANTS)
    images = 0.5 + torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(3))  # sums of 512 and more
    exact = pools[how](images.to(torch.bfloat16).double()).numpy()
    found = network.function.function({**params, "scale": jnp.ones((), jnp.bfloat16)}, jnp.asarray(images.numpy()))
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(found.astype(jnp.float32), exact, rtol=2.0**-8)  # one rounding, the last
