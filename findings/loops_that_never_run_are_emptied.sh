#!/usr/bin/env bash
# XLA:CPU (jax 0.10.2) moves what does not depend on a while loop's state in front of the loop, however much it is and though the
# loop may never run: a network under lax.while_loop whose input is the same in every turn is run once even where the condition is
# false from the start. lax.cond keeps it inside. Seen here: the loop's tanh is in the program's entry, the branch's is not; with a
# false condition the loop takes as long as with a true one (105 ms, the branch 0.4).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check jax==0.10.2 numpy==2.4.6
cd "$folder" && JAX_PLATFORMS=cpu venv/bin/python - <<'PYTHON'
import time

import jax
import jax.numpy as jnp


def network(x, weights):
    for _ in range(8):
        x = jnp.tanh(x @ weights)
    return x


def by_loop(wanted, x, weights):
    def more(carry):
        return carry[0] < wanted.astype(jnp.int32)

    def body(carry):
        return carry[0] + 1, network(x, weights)

    return jax.lax.while_loop(more, body, (0, jnp.zeros_like(x)))[1]


def by_branch(wanted, x, weights):
    return jax.lax.cond(wanted, lambda: network(x, weights), lambda: jnp.zeros_like(x))


def milliseconds(program, wanted):
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        program(wanted, x, weights).block_until_ready()
        taken.append(1e3 * (time.perf_counter() - began))
    return min(taken)


x, weights = jnp.ones((1024, 1024)), jnp.ones((1024, 1024)) / 1024
print("jax", jax.__version__)
found = {}
for way in (by_loop, by_branch):
    program = jax.jit(way).lower(jnp.bool_(False), x, weights).compile()
    text = program.as_text()
    entry = text[text.index("\nENTRY ") :].partition("\n}")[0]
    found[way.__name__] = "tanh" in entry, milliseconds(program, jnp.bool_(False)), milliseconds(program, jnp.bool_(True))
    inside, never, once = found[way.__name__]
    print(f"{way.__name__}: tanh in the entry: {inside}; never run {never:.2f} ms, run once {once:.2f} ms")
assert found["by_loop"][0] and not found["by_branch"][0]
assert found["by_loop"][1] > 10 * found["by_branch"][1]
PYTHON
