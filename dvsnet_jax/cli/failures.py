"""What the command says when something fails."""

from __future__ import annotations

from dvsnet_jax.errors import InputError


class UsageError(InputError):
    """Options that contradict each other or lack something; exit status 2."""


def one_line(error: Exception) -> str:
    """The message for a person: which file, what is wrong, what to do. (Lists that InputError carries follow it.)"""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        file = f"{error.filename}: " if error.filename else ""
        return f"{file}{error.strerror}; check that it is there and readable, or writable and not full"
    message = next(iter(str(error).splitlines()), "")
    return f"unexpected {type(error).__name__}: {message}; --debug shows where it came from"
