r"""A profiler trace of the frame step, its stages by name: preprocess, flow, decision, segmentation, warp, upsample,
merge. Also `dvsnet measure step-trace`.

    python eval/step_trace.py --save-dir trace [--size 1024x2048] [--segmented 1] [--weights bundled]
    tensorboard --logdir trace                          # or ui.perfetto.dev, with trace/**/perfetto_trace.json.gz

Of so many regions segmented, a few steps after the first ones. Prints where the trace lies.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dvsnet_jax.cli.commands.measure.step_trace import StepTrace
from dvsnet_jax.cli.running import run_recipe


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(StepTrace, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
