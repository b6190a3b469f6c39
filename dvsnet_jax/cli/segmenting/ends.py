"""What became of the inputs of a run, and the words that close it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dvsnet_jax.cli.failures import lines
from dvsnet_jax.cli.screen import (
    closing_table,
    tell,
    tell_audit,
    tell_large,
    tell_motion,
    tell_pace,
    tell_skipped,
    tell_untrusted,
)
from dvsnet_jax.cli.segmenting.live import tell_live

if TYPE_CHECKING:
    from dvsnet_jax.inference.delivery import Summary


class Ends:
    """Of the inputs of these names, which threads may report at once. A source that fails does not keep the others from
    their turn."""

    def __init__(self, names: Sequence[str], *, advise_size: bool = False) -> None:
        self._names, self._advise_size = names, advise_size
        self._done: dict[str, Summary] = {}
        self._failed: dict[str, BaseException] = {}

    def done(self, name: str, summary: Summary) -> None:
        """An input has come to its end, or as far as it was let."""
        self._done[name] = summary
        tell_skipped(summary)

    def failed(self, name: str, error: BaseException, *, others: bool = True) -> None:
        """Something was wrong with an input; told now where there are `others` to go on with."""
        self._failed[name] = error
        if others and len(self._done) + len(self._failed) < len(self._names):
            tell(f"dvsnet: {name} failed, going on with the others: {lines(error)[0]}")

    def close(self, out: str, together: Summary | None) -> None:
        """The table and what is to be said of each that is done, in the order of the inputs. `together`: of those that
        were segmented at once."""
        rows = [(name, self._done[name]) for name in self._names if name in self._done]
        if not rows:
            return
        closing_table(rows, together)
        for name, summary in rows:
            tell_live(name, summary)
            tell_pace(name, summary)
            tell_motion(name, summary)
            tell_audit(name, summary)
            if self._advise_size:
                tell_large(name, summary)
            tell_untrusted(name, summary.untrusted, summary.frames, '"untrusted" in routes.jsonl says which')
        tell(f"written to {out}")

    def wrong(self) -> BaseException | None:
        """What was wrong, as one error: of one input alone as it came, of several as a group with their names; None if
        nothing was."""
        if len(self._names) == 1 or not self._failed:
            return next(iter(self._failed.values()), None)
        named = [
            error if isinstance(error, BaseExceptionGroup) else BaseExceptionGroup(name, [error])
            for name, error in self._failed.items()
        ]
        return BaseExceptionGroup(f"{len(self._failed)} of {len(self._names)} inputs failed", named)
