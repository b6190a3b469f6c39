"""The one exception for what the person at the terminal can mend, and the one warning."""

from __future__ import annotations


class InputError(ValueError):
    """Something given to the program is wrong: a file, an option, a checkpoint.

    Its message is one line (lists may follow) that names what came, what was expected and what to do; the command
    prints it without a traceback.
    """


class DamagedInput(UserWarning):
    """Part of what was given cannot be used, and the rest is: which part, and what becomes of it."""
