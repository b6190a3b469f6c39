"""The one exception for what the person at the terminal can mend."""

from __future__ import annotations


class InputError(ValueError):
    """Something given to the program is wrong: a file, an option, a checkpoint.

    Its message is one line (lists may follow) that names what came, what was expected and what to do; the command
    prints it without a traceback.
    """
