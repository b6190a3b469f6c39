"""What PyTorch does and torchax does not: writing in place through views, antialiased resizing, pools at the edge."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import jax
import numpy as np
import pytest

from dvsnet_jax import ImageInput, networks
from dvsnet_jax.errors import InputError
from dvsnet_jax.networks.pytorch import importing
from dvsnet_jax.networks.pytorch.in_place import looked_at
from dvsnet_jax.networks.pytorch.outputs import on_grid

if not (find_spec("torchax") and find_spec("torch")):
    pytest.skip("needs the extra torch", allow_module_level=True)
ENVIRONMENT = importing.environment()
torch = sys.modules["torch"]
F = torch.nn.functional

WANTS = ImageInput(mean=(120.0, 120.0, 120.0), deviation=(60.0, 60.0, 60.0), scale=1.0)
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype(np.float32)
PICTURES = torch.randn(2, 4, 13, 17, generator=torch.Generator().manual_seed(0))


class Written(torch.nn.Module):
    """Features, something done to them in place, and scores of them."""

    def __init__(self, write):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Conv2d(4, 5, 1)
        self.write = write

    def forward(self, images):
        features = self.first(images).contiguous()
        return self.last(self.write(features))


def returned(write):
    """Writes into the features, and gives them on."""

    def function(features):
        write(features)
        return features

    return function


def old_and_new(features):
    view = features.view(2, -1) if len(features) == 2 else features.view(1, -1)
    features[:, 0] = 0
    view[:, 1:] *= 2
    return features + view.mean()


WRITES = {
    "chunk": returned(lambda x: x.chunk(2, 1)[0].mul_(3)),
    "permute": returned(lambda x: x.permute(0, 2, 3, 1)[..., 1:].add_(1)),
    "view": returned(lambda x: x.view(len(x), 4, -1)[..., ::2].zero_()),
    "select": returned(lambda x: x.select(1, 2).copy_(x[:, 0])),
    "diagonal": returned(lambda x: x.diagonal(0, 2, 3).fill_(1)),
    "both": old_and_new,
}
KEPT = {
    "a slice": returned(lambda x: x[:, 1:3, ::2].mul_(3)),
    "slices, and in between them": returned(lambda x: (x[:, 1].add_(1), x[..., 0].copy_(x[..., 1]), x.mul_(2))),
    "the whole": lambda x: F.relu(x, inplace=True) + x,
    "what is not read again": lambda x: x.flatten(2).add_(1).view_as(x),
    "a copy": lambda x: x.permute(0, 3, 1, 2).reshape(len(x), -1).add_(1).mean() + x,
}


def agrees(module):
    network, params = networks.from_torch(module, WANTS, stride=2)
    scores = jax.jit(network.function)(params, IMAGES)
    with torch.no_grad():
        theirs = module(torch.tensor((IMAGES.transpose(0, 3, 1, 2) - 120) / 60)).numpy()
    np.testing.assert_allclose(scores, on_grid(theirs, (32, 48), (64, 96)), atol=1e-4)


@pytest.mark.parametrize("name", WRITES)
def test_what_is_written_into_a_view_is_in_what_it_is_a_view_of(name):
    module = Written(WRITES[name])
    assert looked_at(module, torch.zeros(1, 3, 64, 96)).lost
    agrees(module)


@pytest.mark.parametrize("name", KEPT)
def test_what_torchax_keeps_is_left_to_it(name):
    module = Written(KEPT[name])
    assert looked_at(module, torch.zeros(1, 3, 64, 96)).lost is None
    agrees(module)


def test_an_operator_in_place_that_torchax_lacks():
    agrees(Written(lambda x: x.neg_() + torch.linspace(0, 1, x.shape[-1])))


def test_a_module_that_keeps_what_it_computes():
    class Keeps(Written):
        def __init__(self):
            super().__init__(WRITES["chunk"])
            self.grid = None

        def forward(self, images):
            if self.grid is None or self.grid.shape != images.shape[-1:]:
                self.grid = torch.arange(images.shape[-1], device=images.device) / 50
            return super().forward(images + self.grid)

    module = Keeps()
    assert looked_at(module, torch.zeros(1, 3, 64, 96)).lost and module.grid is None
    agrees(module)


def test_writing_that_cannot_be_taken_out_is_refused():
    class Outside(torch.autograd.Function):
        @staticmethod
        def forward(context, features):
            features.chunk(2, 1)[0].copy_(torch.tensor(features.detach().numpy()[:, :2] * 2))
            return features

    with pytest.raises(
        InputError, match=r"Written writes in place \(aten\.copy_\.default\) what it then reads .*torch\.cat"
    ):
        networks.from_torch(Written(Outside.apply), WANTS)


def by_jax(function, images, dtype="float32"):
    def call(arrays):
        with ENVIRONMENT:
            return ENVIRONMENT.t2j_iso(function(ENVIRONMENT.j2t_iso(arrays)))

    return np.asarray(jax.jit(call)(images.numpy().astype(dtype)).astype("float32"))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize(
    "size",
    [{"size": (26, 34)}, {"size": (5, 40)}, {"size": (1, 1)}, {"scale_factor": (1.01, 0.6)}, {"scale_factor": 1.7}],
)
def test_antialiased_resizing(mode, corners, size):
    def function(images):
        return F.interpolate(images, mode=mode, align_corners=corners, antialias=True, **size)

    np.testing.assert_allclose(by_jax(function, PICTURES), function(PICTURES), atol=1e-5)


def test_bicubic_resizing_in_bfloat16_is_in_its_place():
    noise = torch.randn(1, 1, 8, 300, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16).float()

    def function(images):
        return F.interpolate(images, (8, 640), mode="bicubic")

    # A hundredth of the largest is bfloat16's rounding of the result.
    np.testing.assert_allclose(by_jax(function, noise, jax.numpy.bfloat16), function(noise), atol=0.03)


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize(("length", "step", "border"), [(3, 3, 0), (3, 2, 1), (2, 2, 0), ((2, 3), (2, 1), (1, 0))])
def test_means_of_windows_past_the_edge(ceil, counted, length, step, border):
    def function(images):
        return F.avg_pool2d(images, length, step, border, ceil_mode=ceil, count_include_pad=counted)

    np.testing.assert_allclose(by_jax(function, PICTURES), function(PICTURES), atol=1e-5)


@pytest.mark.parametrize("size", [1, (3, 5), (13, 34), (None, 7)])
def test_adaptive_maxima(size):
    def function(images):
        found, places = F.adaptive_max_pool2d(images, size, return_indices=True)
        return found + places

    np.testing.assert_allclose(by_jax(function, PICTURES), function(PICTURES), atol=1e-5)
