"""Tables of `benchmarks.frame_step`'s timings: each form side by side, and what is gained at each share of regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dvsnet_jax.benchmarks.frame_step import Form, Timing, linear_fit
from dvsnet_jax.markdown import Table

SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)


def step_table(timings: Sequence[Timing], rates: Mapping[str, float]) -> Table:
    """A row for each form and number of regions segmented. `rates` are the device's, by precision (`matmul_rate`)."""
    full = {row.form: row.median for row in timings if row.segmented == row.regions}
    rows = [
        (str(row.form), "every frame, no DVSNet" if row.segmented is None else f"{row.segmented} of {row.regions}",
         _ms(row), f"{row.median / full[row.form]:.1%}", f"{1 / row.median:,.2f}", f"{row.multiply_adds / 1e9:,.1f}",
         f"{row.multiply_adds / row.median / rates[row.form.precision]:.0%}", f"{row.memory / 2**20:,.0f}",
         f"{row.compile_seconds:.1f}")
        for row in timings
    ]  # fmt: skip
    return Table(
        ("form", "segmented", "ms a frame", "of all segmented", "frames/s", "G multiply-adds", "of the matmul rate",
         "memory, MiB", "compiling, s"), tuple(rows),
    )  # fmt: skip


def gain_table(timings: Sequence[Timing]) -> Table:
    """By form, how many times as fast as segmenting every frame without DVSNet, at each share of regions segmented."""
    plain = {row.form: row.median for row in timings if row.segmented is None}
    rows = []
    for form, compact in _compact(timings).items():
        if form in plain:
            nothing, each, _ = linear_fit(compact)
            at = [nothing + share * compact[0].regions * each for share in SHARES]
            rows.append((str(form), *(f"{plain[form] / seconds:.2f}× ({1 / seconds:,.2f})" for seconds in at)))
    return Table(("gain (frames/s) at", *(f"{share:.0%}" for share in SHARES)), tuple(rows))


def fit_lines(timings: Sequence[Timing]) -> list[str]:
    """The straight line through each compact form's times, in words."""
    lines = []
    for form, rows in _compact(timings).items():
        nothing, each, residual = (1e3 * seconds for seconds in linear_fit(rows))
        lines.append(
            f"{form}: {nothing:,.1f} ms + {each:,.1f} ms for each region segmented; the largest residual of this line "
            f"is {residual:,.1f} ms, {residual / (nothing + each * rows[0].regions):.1%} of a frame all segmented."
        )
    return lines


def _compact(timings: Sequence[Timing]) -> dict[Form, list[Timing]]:
    found: dict[Form, list[Timing]] = {}
    for row in timings:
        if row.form.routing == "compact" and row.segmented is not None:
            found.setdefault(row.form, []).append(row)
    return found


def _ms(row: Timing) -> str:
    low, high = (1e3 * end(row.seconds) / row.form.streams for end in (min, max))
    return f"{1e3 * row.median:,.1f} ({low:,.1f}–{high:,.1f})"
