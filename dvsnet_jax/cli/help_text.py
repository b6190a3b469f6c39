"""What `--help` says of a command's options: their docstrings as paragraphs."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
from contextlib import suppress
from itertools import pairwise
from types import MappingProxyType
from typing import Any, get_args, get_type_hints


def flow_paragraphs(command: Any) -> None:
    """Gives every option of a command, those of its groups too, its docstring as tyro is to show it: breaks within a
    paragraph are none. (tyro reads docstrings itself, and keeps a break before each line that is indented.)"""
    said = _docstrings(command)
    for field in dataclasses.fields(command):
        if field.name in said and "help" not in field.metadata:
            field.metadata = MappingProxyType({**field.metadata, "help": paragraphs(said[field.name])})
    for kind in get_type_hints(command).values():  # without what is Annotated
        for group in (kind, *get_args(kind)):
            if isinstance(group, type) and dataclasses.is_dataclass(group):
                flow_paragraphs(group)


def paragraphs(text: str) -> str:
    """The text with each paragraph in one line, and an empty line between two."""
    return "\n\n".join(" ".join(each.split()) for each in re.split(r"\n\s*\n", text.strip()))


def _docstrings(command: type) -> dict[str, str]:
    """The string after each field, by the field's name; none where the source is not there."""
    said: dict[str, str] = {}
    with suppress(OSError):
        [definition] = ast.parse(textwrap.dedent(inspect.getsource(command))).body
        for two in pairwise(getattr(definition, "body", [])):
            match two:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    said[name] = text
    return said
