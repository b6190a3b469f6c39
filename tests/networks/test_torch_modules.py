"""What modules of PyTorch do besides computing with their parameters: tensors of their own, caches, draws, batches."""

from __future__ import annotations

import functools
import sys
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dvsnet_jax import DVSNetConfig, ImageInput, networks
from dvsnet_jax.errors import InputError
from dvsnet_jax.networks.pytorch import importing
from dvsnet_jax.networks.pytorch.outputs import class_scores, on_grid

if not (find_spec("torchax") and find_spec("torch")):
    pytest.skip("needs the extra torch", allow_module_level=True)
importing.environment()
torch = sys.modules["torch"]
nn, F = torch.nn, torch.nn.functional

WANTS = ImageInput(mean=(120.0, 120.0, 120.0), deviation=(60.0, 60.0, 60.0), scale=1.0)
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype(np.float32)


class Small(nn.Module):
    """Two convolutions; `between` says what is done to the features, `before` to the image."""

    def __init__(self, between=lambda module, features: features, before=lambda module, images: images):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 5, 1)
        self.mean = torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1)  # no buffer
        self.grid, self.between, self.before = None, between, before

    def forward(self, images):
        return self.last(self.between(self, self.first(self.before(self, images))).relu())


@functools.lru_cache
def slope(height, width):
    return torch.linspace(0, 1, height)[:, None] * torch.linspace(0, 1, width)


def kept_grid(module, images):
    if module.grid is None or module.grid.shape[-1] != images.shape[-1]:
        module.grid = torch.arange(images.shape[-1], device=images.device) / 50
    return images + module.grid


def kept_slope(module, features):
    return features + slope(*features.shape[2:])


def agrees(module, wants=WANTS, images=IMAGES):
    """That every trace of it has PyTorch's scores, for two images and for one."""
    network, params = networks.from_torch(module, wants, stride=2)
    height, width = images.shape[1:3]
    with torch.no_grad():
        output = module.eval()(torch.tensor((images.transpose(0, 3, 1, 2) - 120) / 60))
    theirs = class_scores(jax.tree.map(lambda leaf: jnp.asarray(leaf.numpy()), dict(output)) if hasattr(
        output, "items") else jnp.asarray(output.numpy()))  # fmt: skip
    theirs = on_grid(theirs, (height // 2, width // 2), (height, width))
    for count in (2, 1, 2):
        scores = jax.jit(lambda params, images: network.function(params, images))(params, images[:count])
        np.testing.assert_allclose(scores, theirs[:count], atol=1e-4 * float(theirs.std()))
    return network, params


@pytest.mark.parametrize(
    "module",
    [Small(before=lambda module, images: images - module.mean), Small(kept_slope), Small(before=kept_grid)],
    ids=["a plain attribute", "a cache of the function", "kept by the module"],
)
def test_tensors_that_are_no_parameters(module):
    agrees(module)
    agrees(module)


def test_what_fails_in_bfloat16_is_computed_in_float32_and_told():
    module = Small(before=lambda module, images: images.float() - module.mean)
    network, params = agrees(module)
    prepared = networks.prepare({"segmentation": params}, DVSNetConfig(segmentation=network), precision="bfloat16")
    assert str(prepared["segmentation"]["first.weight"].dtype) == "bfloat16"
    with pytest.warns(UserWarning, match="Small is computed in float32, since it fails in bfloat16"):
        scores = network.function(prepared["segmentation"], IMAGES)
    whole = network.function(params, IMAGES)
    assert 0 < abs(scores - whole).max() < 0.1 * whole.std()


def test_a_norm_of_the_batch_makes_no_region_another_by_what_is_segmented_with_it():
    module = Small(lambda module, features: module.norm(features))
    module.norm = nn.BatchNorm2d(8, track_running_stats=False)
    network, params = networks.from_torch(module, WANTS, stride=2)
    together = network.function(params, IMAGES)
    for index in range(2):
        with torch.no_grad():
            theirs = module.eval()(torch.tensor((IMAGES[index : index + 1].transpose(0, 3, 1, 2) - 120) / 60))
        own = on_grid(jnp.asarray(theirs.numpy()), (32, 48), (64, 96))
        np.testing.assert_allclose(together[index], own[0], atol=1e-4)


def test_random_scores_are_refused_and_draws_that_count_for_nothing_pass():
    for between in (lambda _, features: F.dropout(features, 0.5), lambda _, features: features + torch.rand(1)):
        with pytest.raises(InputError, match=r"draws random numbers in evaluation too .*training=self\.training"):
            networks.from_torch(Small(between), WANTS)

    def drawn_for_nothing(module, features):
        skipped = torch.rand([])  # as transformers' decoders do for layers left out in training
        return F.dropout(features, 0.5, module.training) if module.training and skipped < 0.5 else features

    agrees(Small(drawn_for_nothing))
    pixels = Small(lambda _, features: F.scaled_dot_product_attention(features, features, features))
    agrees(pixels)  # an operator that could draw, and is told not to


@pytest.mark.parametrize("name", ["Beit", "Data2VecVision", "EomtDinov3"])
def test_transformers_with_tables_of_places(name):
    """A table of places that is kept for the next call (BEiT), and a small buffer that is computed with (EoMT's)."""
    transformers = pytest.importorskip("transformers")
    shared = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 64, "patch_size": 16,
              "id2label": {index: str(index) for index in range(5)}}  # fmt: skip
    if name == "EomtDinov3":
        config = transformers.EomtDinov3Config(
            num_hidden_layers=2, num_blocks=1, num_queries=4, num_upscale_blocks=1, **shared
        )
        module = transformers.EomtDinov3ForUniversalSegmentation(config)
    else:
        config = getattr(transformers, f"{name}Config")(
            num_hidden_layers=4, out_indices=[1, 2, 3, 4], use_relative_position_bias=True, auxiliary_channels=4,
            **shared,
        )  # fmt: skip
        module = getattr(transformers, f"{name}ForSemanticSegmentation")(config)
        for table in module.parameters():
            nn.init.normal_(table, 0, 0.2)
    wants = ImageInput(mean=(120.0,) * 3, deviation=(60.0,) * 3, scale=1.0, size=(64, 64))
    agrees(module.eval(), wants, IMAGES[:, :, 16:80])
