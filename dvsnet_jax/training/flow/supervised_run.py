"""Stage 2a from start to end, on pairs with true flow; what `dvsnet train flow-supervised` runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax

from dvsnet_jax.config import FlowNet2sConfig
from dvsnet_jax.datasets.augment.flow import FlowAugmentation, augment_flow
from dvsnet_jax.datasets.batches import Batches
from dvsnet_jax.datasets.folders import FlowPair
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.training import loop
from dvsnet_jax.training.flow import supervised
from dvsnet_jax.training.flow.validation import endpoint_errors
from dvsnet_jax.training.parallel import local_batch
from dvsnet_jax.training.run_folder import fingerprint


def train_flow(
    params: Any,
    config: FlowNet2sConfig | FlowNet2Config,
    source: Sequence[FlowPair],
    folder: str | Path,
    training: supervised.FlowTraining,
    schedule: loop.Schedule,
    *,
    held_out: Sequence[FlowPair] | None = None,
    augmentation: FlowAugmentation,
    described: Mapping[str, Any] | None = None,
    on_step: Callable[[int, loop.Metrics], None] = lambda done, metrics: None,
    on_validation: Callable[[loop.Metrics], None] = lambda metrics: None,
) -> Any:
    """The flow network's parameters, trained from `params`: those of least end-point error on `held_out`, or the last
    where there is none.

    `described` says what the data are, those held out too, for the run's settings: JSON values. Raises InputError as
    `loop.run` does.
    """
    data = Batches(
        source, batch_size=local_batch(training.batch_size), seed=training.seed,
        augment=partial(augment_flow, limits=augmentation),
        process=jax.process_index(), processes=jax.process_count(),
    )  # fmt: skip
    settings = {
        "kind": "supervised training of the flow network", "training": dataclasses.asdict(training),
        **(described or {}), "samples": len(source), "augmentation": dataclasses.asdict(augmentation),
        "network": repr(config), "began from (CRC-32)": fingerprint(params),
    }  # fmt: skip
    validation = None
    if held_out is not None:
        validation = loop.Validation(
            measure=lambda state: endpoint_errors(state.params, held_out, config), by="epe", highest=False
        )
    state = loop.run(
        folder,
        settings,
        lambda: supervised.start(params, config, training),
        lambda state, batch: supervised.train_step(state, *batch, config=config, training=training),
        data,
        schedule,
        params_of=lambda state: state.params,
        validation=validation,
        on_step=on_step,
        on_validation=on_validation,
    )
    return loop.best(folder, params)[0] if validation else jax.device_get(state.params)
