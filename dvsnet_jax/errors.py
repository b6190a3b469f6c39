"""The one exception for what the person at the terminal can mend, the warnings, and several failures as one."""

from __future__ import annotations

from collections.abc import Callable


class InputError(ValueError):
    """Something given to the program is wrong: a file, an option, a checkpoint.

    Its message is one line (lists may follow) that names what came, what was expected and what to do; the command
    prints it without a traceback.
    """


class InputNotice(UserWarning):
    """Something is to be said of what was given, and all of it is used: a line for the person at the terminal."""


class DamagedInput(InputNotice):
    """Part of what was given cannot be used, and the rest is: which part, and what becomes of it."""


def first_line(error: BaseException) -> str:
    """Of its message, or its kind where it has none: libraries' own errors in a message of one line."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def in_brief(error: BaseException) -> str:
    """The same with its kind before it, at most 200 characters. Not its repr, which may hold all of a file."""
    return f"{type(error).__name__}: {first_line(error)[:200]}"


def do_all(what: str, *parts: Callable[[], object]) -> None:
    """Calls each part, whatever is raised by those before it; then raises what went wrong, all of it.

    One failure is raised as it is; several as an ExceptionGroup called `what`, in their order. An interrupt goes before
    the rest, which becomes its cause, so that nobody takes it for a failure and goes on.
    """
    failures: list[BaseException] = []
    for part in parts:
        try:
            part()
        except BaseException as error:
            # By identity: a part that waits for another one raises what that one has raised.
            failures += [each for each in single_errors(error) if all(each is not known for known in failures)]
    errors = [each for each in failures if isinstance(each, Exception)]
    for interrupt in failures:
        if not isinstance(interrupt, Exception):
            raise interrupt from (ExceptionGroup(what, errors) if errors else interrupt.__cause__)
    if len(errors) > 1:
        raise ExceptionGroup(what, errors)
    if errors:
        raise errors[0]


def single_errors(error: BaseException) -> list[BaseException]:
    """The error itself, or those in a group of them, however deep."""
    if isinstance(error, BaseExceptionGroup):
        return [each for member in error.exceptions for each in single_errors(member)]
    return [error]
