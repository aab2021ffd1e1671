"""What a code object names, imports and holds, nested ones included."""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from importlib import import_module
from importlib.util import resolve_name
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

_HAS_DOCSTRING: Final = 0x4000000
"""A flag of functions from Python 3.14 on. Before it the first constant is the docstring, or
None."""
_FIRST_IS_THE_DOCSTRING: Final = sys.version_info < (3, 14)
_IMPORT: Final = dis.opmap["IMPORT_NAME"]


def constants(code: CodeType) -> Sequence[Any]:
    """Without the docstring: where it stands, there is None."""
    if not code.co_consts or not isinstance(code.co_consts[0], str):
        return code.co_consts
    if _FIRST_IS_THE_DOCSTRING:
        # Comprehensions have no docstring, nor a place for one.
        is_docstring = not code.co_name.startswith("<")
    else:
        is_docstring = bool(code.co_flags & _HAS_DOCSTRING)
    return (None, *code.co_consts[1:]) if is_docstring else code.co_consts


def nested(code: CodeType) -> Iterator[CodeType]:
    """The code itself, and that of functions, comprehensions and classes in it."""
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from nested(one)


def names_in(code: CodeType) -> AbstractSet[str]:
    """Of globals and attributes, and texts that may be a name: `getattr(row, "limit")`."""
    found: set[str] = set()
    for one in nested(code):
        found.update(one.co_names)
        for constant in constants(one):
            texts = constant if isinstance(constant, tuple) else (constant,)
            found.update(text for text in texts if isinstance(text, str) and text.isidentifier())
    return found


def imported(function: FunctionType) -> Iterator[ModuleType]:
    """What it imports when it runs, in the order of its code, as far as it is there."""
    package = str(function.__globals__.get("__package__") or "")
    for code in nested(function.__code__):
        if _IMPORT not in code.co_code[::2]:
            continue
        before: list[Any] = []
        for one in dis.get_instructions(code):
            if one.opcode == _IMPORT:
                level, names = before[-2:]
                name = "." * level + one.argval
                try:
                    module = import_module(resolve_name(name, package) if level else name)
                except ImportError:  # its code may do without
                    before = [*before[-1:], one.argval]
                    continue
                yield module
                yield from (
                    below
                    for text in names or ()
                    if isinstance(below := vars(module).get(text), ModuleType)
                )
            before = [*before[-1:], one.argval]


def is_generated(function: FunctionType) -> bool:
    """Whether a library made its source from something else, such as the fields of a class."""
    made: FunctionType = inspect.unwrap(function)
    return made.__code__.co_filename.startswith("<")
