"""`dvsnet measure equal-speed`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dvsnet_jax.cli.commands.policies import PolicyName
from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import OptionalPath, Positional


@dataclass(frozen=True, kw_only=True)
class EqualSpeed:
    """Networks side by side at equal frames per second.

    Of runs of 'dvsnet policies --json', made on one machine: mIoU and frames per second at each share of regions
    segmented, and what each network has where it is as fast as the first with every frame segmented. Frames per second
    are those of the frame step and the host's motion.
    """

    runs: Positional[tuple[Path, ...]] = ()
    """What 'dvsnet policies --json' wrote; all are held against the first."""
    policy: PolicyName = "learned"
    """Whose shares are taken."""
    plot: OptionalPath = None
    """Draw the lines here, .svg or .png (wants matplotlib)."""

    def run(self) -> int:
        if not self.runs:
            raise UsageError("no run is named; give one or more files that 'dvsnet policies --json' wrote")

        from dvsnet_jax.errors import InputError
        from dvsnet_jax.evaluation.policies.equal_speed import at_speed, draw, read_line, table
        from dvsnet_jax.markdown import markdown_table

        names = [path.stem for path in self.runs]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(f"{', '.join(twice)}: two runs of one name; the file's name is the network's here")
        lines = {path.stem: read_line(path, self.policy) for path in self.runs}
        if len({tuple(point.share for point in line) for line in lines.values()}) > 1:
            raise InputError("the runs are at different shares of regions; make all with the same --shares")
        print(markdown_table(table(lines)))
        every = next(iter(lines.values()))[-1]
        speed = f"{every.frames_per_second:.1f} frames/s, {names[0]}'s with every frame segmented"
        for name, line in list(lines.items())[1:]:
            found = at_speed(line, every.frames_per_second)
            said = "never is that fast, or always faster"
            if found is not None:
                said = f"has {found:.1%}, {100 * (found - every.mean_iou):+.1f} points"
            print(f"\nAt {speed}, {name} {said}.")
        if self.plot:
            draw(lines, self.plot)
        return 0
