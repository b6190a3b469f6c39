"""What all recipes' command lines do alike: the original's flag spellings, errors in one line, progress on stderr."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dvsnet_jax.errors import InputError

Main = Callable[[Sequence[str] | None], int]


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that shows a recipe's docstring as it stands, and takes no shortened flags."""
    formatter = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=description, formatter_class=formatter, allow_abbrev=False)


def parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The options; a flag may be `--data-dir`, as in the original's README, or `--data_dir`, as in its code."""
    words = sys.argv[1:] if argv is None else list(argv)
    return parser.parse_args([_hyphens(word) if word.startswith("--") else word for word in words])


def positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    """An option's type: a finite number above 0."""

    def read(text: str) -> float:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise ValueError(text)
        return value

    read.__name__ = f"positive {kind.__name__}"  # argparse names it so: invalid positive int value: '0'
    return read


def print_record(record: Mapping[str, Any]) -> None:
    """A record of metrics as a line on stdout: epoch 3, loss 12.3, …"""
    print(", ".join(f"{name.replace('_', ' ')} {_number(value)}" for name, value in record.items()), flush=True)


def one_line_errors(main: Main) -> Main:
    """`main`, where an InputError is one line on stderr and exit status 1, and Ctrl-C is 130."""

    @functools.wraps(main)
    def guarded(argv: Sequence[str] | None = None) -> int:
        try:
            return main(argv)
        except InputError as error:
            print(f"{_name(main)}: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print(f"{_name(main)}: interrupted; the same command goes on from what was saved", file=sys.stderr)
            return 130

    return guarded


@contextmanager
def progress(title: str, total: int, *, done: int = 0) -> Iterator[Callable[[int, str], None]]:
    """A bar on stderr with the time left, where stderr is a terminal; yields `show(done, text)`."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total, completed=done, text="")
        yield lambda done, text: bar.update(task, completed=done, text=text)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _hyphens(word: str) -> str:
    flag, equals, value = word.partition("=")
    return flag.replace("_", "-") + equals + value


def _name(main: Main) -> str:
    return Path(main.__code__.co_filename).name
