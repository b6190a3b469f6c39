"""What the command says when something fails."""

from __future__ import annotations

from dvsnet_jax.errors import InputError


class UsageError(InputError):
    """Options that contradict each other or lack something; exit status 2."""


def lines(error: BaseException) -> list[str]:
    """The message for a person, a line for each thing that failed: those of a group stand indented below its name."""
    if not isinstance(error, BaseExceptionGroup):
        return [one_line(error)]
    each = [lines(member) for member in error.exceptions]
    if len(each) == 1:
        return [f"{error.message}: {each[0][0]}", *each[0][1:]]
    return [f"{error.message}:", *(f"  {line}" for member in each for line in member)]


def one_line(error: BaseException) -> str:
    """What became of one thing: which file, what is wrong, what to do. (Lists that InputError carries follow it.)"""
    if isinstance(error, InputError):
        return str(error)
    message = next(iter(str(error).splitlines()), "")
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in message:  # XLA's
        return f"memory ran out ({message}); take smaller frames (--input-size) or fewer at once (--streams)"
    if isinstance(error, OSError) and error.strerror:
        file = f"{error.filename}: " if error.filename else ""
        return f"{file}{error.strerror}; check that it is there and readable, or writable and not full"
    return f"unexpected {type(error).__name__}: {message}; --debug shows where it came from"
