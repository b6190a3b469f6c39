"""What all recipes' command lines do alike: the original's flag spellings, errors in one line, progress on stderr."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dvsnet_jax.errors import InputError
from dvsnet_jax.training.loop import Schedule

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


def not_negative(text: str) -> float:
    """An option's type: a finite number, 0 or more."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


not_negative.__name__ = "non-negative float"  # as above


def share(text: str) -> float:
    """An option's type: 0 or more, below 1."""
    value = float(text)
    if not 0 <= value < 1:
        raise ValueError(text)
    return value


def chance(text: str) -> float:
    """An option's type: from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(text)
    return value


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Options of every run that counts steps; they do not change what it computes."""
    parser.add_argument("--save-every", type=positive(int), default=200, help="steps")
    parser.add_argument("--validate-every", type=positive(int), help="steps; besides after the last")
    parser.add_argument("--look-every", type=positive(int), default=20, help="steps between lines of metrics")
    parser.add_argument("--distributed", action="store_true",
                        help="one of several processes (jax.distributed.initialize)")  # fmt: skip


def begin_processes(options: argparse.Namespace) -> None:
    """Joins the other processes, where there are any; before anything else of JAX."""
    if options.distributed:
        jax.distributed.initialize()


def schedule(options: argparse.Namespace) -> Schedule:
    """What the run options and --steps say."""
    return Schedule(
        steps=options.steps, look_every=options.look_every, save_every=options.save_every,
        validate_every=options.validate_every,
    )  # fmt: skip


def precision(asked: str) -> Any:
    """'float32' or 'bfloat16'; 'auto' is bfloat16 on accelerators, float32 on CPU, where it gains nothing."""
    if asked != "auto":
        return asked
    return "float32" if jax.default_backend() == "cpu" else "bfloat16"


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
    if not console.is_terminal:  # rich before 14.3 prints an empty line for a bar that it does not show
        yield lambda done, text: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=total, completed=done, text="")
        yield lambda done, text: bar.update(task, completed=done, text=text)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _hyphens(word: str) -> str:
    flag, equals, value = word.partition("=")
    return flag.replace("_", "-") + equals + value


def _name(main: Main) -> str:
    return Path(main.__code__.co_filename).name
