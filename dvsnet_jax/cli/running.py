"""A command from its words to its exit status, for `dvsnet` and for the recipes in `train/` and `eval/` alike."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Union

import tyro

from dvsnet_jax.cli.failures import UsageError, lines
from dvsnet_jax.cli.freed_memory import keep_freed_memory
from dvsnet_jax.cli.help_text import flow_paragraphs
from dvsnet_jax.cli.run_options import stop_others
from dvsnet_jax.errors import InputNotice

_NOBODY_READS = 141
"""The exit status that a shell gives a command which was ended by that."""


class Family(NamedTuple):
    """Commands below a word of their own, such as `dvsnet train …`."""

    summary: str
    commands: Mapping[str, Any]
    """By name, a command (a dataclass of its options with a `run` that returns the exit status) or a `Family`."""


def run_command(
    command: Any, argv: Sequence[str] | None, *, name: str, description: str | None = None, default: Any = None
) -> int:
    """Reads the options, runs the command; its exit status: 0, 1 for an error, 2 for wrong usage, 130 for Ctrl-C, 141
    where nobody reads what it prints.

    Args:
      command: a command or a `Family` of some.
      argv: its words, or None for those of this process.
      name: how it is called; errors begin with it.
      description: what `--help` says; the command's docstring if not given.
      default: an instance of the command, whose options hold where they are not given.

    Errors are one line on stderr; `--debug` among the words, or DVSNET_DEBUG=1, shows where they came from.
    """
    if argv is None:  # a process of its own
        _say_anything()
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words or os.environ.get("DVSNET_DEBUG", "") not in ("", "0")
    words = [word for word in words if word != "--debug"]
    chosen, called = None, name
    while isinstance(command, Family) and words and words[0] in command.commands:  # so that errors are of it alone
        word, *words = words
        command, called = command.commands[word], f"{called} {word}"
        description = command.summary if isinstance(command, Family) else None
    if dataclasses.is_dataclass(command):
        flow_paragraphs(command)
    try:
        chosen = tyro.cli(
            _union(command) if isinstance(command, Family) else command,
            prog=called,
            description=description,
            args=words,
            config=(tyro.conf.FlagCreatePairsOff,),
            **({} if default is None else {"default": default}),
        )
        if argv is None:
            keep_freed_memory()  # here, as it begins the process again: what only helps or is refused has ended
        with _short_warnings(name):
            status: int = chosen.run()
        if sys.stdout is not None:  # as where it was closed (`>&-`)
            sys.stdout.flush()  # here, where it is told, and not at the interpreter's end
        return status
    except SystemExit as stop:  # tyro's: --help, or wrong usage, which it has told
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 2
    except BrokenPipeError:
        if debug:
            raise
        _let_go_of_output()
        return _NOBODY_READS
    except KeyboardInterrupt as interrupt:
        if interrupt.__cause__ is not None:  # what had failed before
            _print(name, interrupt.__cause__)
        print(f"{name}: {getattr(chosen, 'interrupted', 'interrupted')}", file=sys.stderr)
        return 130
    except Exception as error:
        if debug:
            raise
        _print(name, error)
        stop_others(error)
        return 2 if isinstance(error, UsageError) else 1


def _say_anything() -> None:
    """Has characters that this terminal cannot show, as of a file's name, come as escapes: they end no run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _let_go_of_output() -> None:
    """Where whoever reads what we print is gone (`| head`): nothing further is printed, nor complained about."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError, ValueError):
            stream.flush()
            continue
        with suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _print(name: str, error: BaseException) -> None:
    print(f"{name}: " + "\n".join(lines(error)), file=sys.stderr, flush=True)


@contextmanager
def _short_warnings(name: str) -> Iterator[None]:
    """What is to be said of the input is told in one line, without the place in the code that found it. Pillow's words
    on damaged pictures are left out: they name no file, and each is told by ourselves in the next moment."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], filename: str, *rest: Any, **more: Any) -> None:
        if issubclass(category, InputNotice):
            print(f"{name}: {message}", file=sys.stderr, flush=True)
        elif "PIL" not in Path(filename).parts:
            usual(message, category, filename, *rest, **more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = usual


def run_recipe(
    command: Any, argv: Sequence[str] | None, *, file: str, description: str | None, default: Any = None
) -> int:
    """The same for a recipe, called by its file's name and described by its docstring."""
    return run_command(command, argv, name=Path(file).name, description=description, default=default)


def _union(family: Family) -> Any:
    """The type that tyro lists a family's commands from, each described by one sentence."""
    kinds: list[Any] = []
    for name, command in family.commands.items():
        below = isinstance(command, Family)
        summary = command.summary if below else _first_sentence(command.__doc__)
        kind = _union(command) if below else command
        kinds.append(Annotated[kind, tyro.conf.subcommand(name, description=summary)])
    return Union[tuple(kinds)]  # noqa: UP007


def _first_sentence(text: str) -> str:
    return " ".join(re.split(r"\.\s", text)[0].split()).removesuffix(".") + "."
