#!/usr/bin/env bash
# optax's `multiclass_generalized_dice_loss` weighs a class by 1 / (its pixels² + 1e-7) and divides by the weights' sum. A class without a
# pixel in the batch weighs ten million, one with a thousand pixels a millionth: wherever a class is missing, as some of 19 always is, the
# loss is that of missing classes alone, each of which is content when it is not predicted. Road and building changed for one another, or
# road everywhere, have the loss of perfect labels, and no slope leads from one to the other. With `dice_loss`, or where all classes are in
# the batch, they differ. Seen with optax 0.2.8 and jax 0.10.2: 4.2e-6 for all three; `dice_loss` gives 3.7e-6, 0.11 and 0.07.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check optax==0.2.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder" && JAX_PLATFORMS=cpu venv/bin/python - <<'PYTHON'
import jax
import jax.numpy as jnp
import optax
from optax.losses import dice_loss, multiclass_generalized_dice_loss

print("optax", optax.__version__, "jax", jax.__version__)
# Two streets whose left half is road (0) and whose right half is building (2), of Cityscapes' 19 classes.
truth = jnp.zeros((2, 64, 64), int).at[:, :, 32:].set(2)
networks = {"right labels": truth, "the two changed": 2 - truth, "road everywhere": jnp.zeros_like(truth)}


def both(labels, truth, classes):
    """The loss of a network that is sure of its labels: generalized, and the plain one beside it."""
    scores, target = 20 * jax.nn.one_hot(labels, classes), jax.nn.one_hot(truth, classes)
    return [float(jnp.mean(loss(scores, target))) for loss in (multiclass_generalized_dice_loss, dice_loss)]


generalized, plain = zip(*(both(labels, truth, 19) for labels in networks.values()))
for name, *losses in zip(networks, generalized, plain):
    print(f"{name}: generalized {losses[0]:.3g}, plain {losses[1]:.3g}")
assert max(generalized) < 1e-5 and max(generalized) - min(generalized) < 1e-6
assert plain[0] < 1e-5 and min(plain[1:]) > 0.05

# From scores that are all 0: how the loss falls on the way to the right labels.
target = jax.nn.one_hot(truth, 19)
way = target - jax.nn.one_hot(2 - truth, 19)
slopes = [
    float(jax.grad(lambda step, loss=loss: jnp.mean(loss(step * way, target)))(0.0))
    for loss in (multiclass_generalized_dice_loss, dice_loss)
]
print(f"slope towards the right labels: generalized {slopes[0]:.3g}, plain {slopes[1]:.3g}")
assert abs(slopes[0]) < 1e-5 * abs(slopes[1])

there = [both(labels // 2, truth // 2, 2)[0] for labels in networks.values()]
print("generalized, of the two classes alone:", *(f"{loss:.3g}" for loss in there))
assert there[0] < 1e-5 and min(there[1:]) > 0.5
PYTHON
