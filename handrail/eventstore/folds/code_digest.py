"""A digest of code: of what functions, classes and constants do, and of all that they reach.

It is made of code objects, not of source: comments, blank lines, line numbers and docstrings do not
count, and nothing of it depends on addresses or on the hashes of strings. It follows the globals,
closures, defaults and attributes that code names. Of a class that is reached it takes the bases,
the fields, what runs by itself (`__add__`, `__post_init__`), and every member whose name the code
says anywhere.

Followed is code of the packages that are given, and code that is in no folder of installed
packages. Of an installed package's function that is called directly its own code counts, and of the
standard library the name. So it does not see: what an installed package does further inside; what
is read from files, the environment or a database; names that are put together at run time.
"""

from __future__ import annotations

import functools
import operator
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from hashlib import sha256
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final
from uuid import UUID

from handrail.eventstore.folds.code_objects import constants, imported, is_generated, names_in

_EXACT: Final = frozenset(
    {
        *(type(None), type(...), type(NotImplemented), bool, int, float, complex, str, bytes),
        *(range, Decimal, Fraction, date, datetime, time, timedelta, timezone, UUID),
    }
)
"""Their `repr` says all of them, the same in every process."""
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})
_WRAPPERS: Final = (staticmethod, classmethod, property, functools.cached_property)
_ARGUMENTS_ARE_ALL: Final = (operator.attrgetter, operator.itemgetter, operator.methodcaller)


class CodeDigest:
    """Takes values in, and says what they and all that they reach do, as a number.

    What is met again is referred to by its place in the walk, so cycles end, and two functions
    that change places make another digest.
    """

    def __init__(self, packages: Collection[str] = ()) -> None:
        self._packages = frozenset(packages)
        self._hash = sha256(MAGIC_NUMBER)
        self._places: dict[int, int] = {}
        self._met: list[Any] = []  # kept, so that no other object gets the address of one
        self._emitted = 0
        self._names: set[str] = set()
        self._members: set[tuple[int, str]] = set()

    def add(self, value: Any) -> None:
        """What it is, and what it reaches."""
        self._value(value)
        while self._emitted < len(self._met) or self._emit_members():
            while self._emitted < len(self._met):
                self._emitted += 1
                self._body(self._met[self._emitted - 1])

    def hexdigest(self) -> str:
        return self._hash.hexdigest()[:32]

    def follows(self, module: str) -> bool:
        """Whether code of this module is walked through."""
        top = module.partition(".")[0]
        return top in self._packages or _is_at_home(module, top)

    def _say(self, *parts: str | bytes | int) -> None:
        for part in parts:
            data = part if isinstance(part, bytes) else str(part).encode(errors="surrogatepass")
            self._hash.update(b"%d:" % len(data) + data)

    def _value(self, value: Any) -> None:  # noqa: C901, PLR0912  # an arm for each kind
        kind = type(value)
        if kind in _EXACT:
            if kind is str and value.isidentifier():
                self._names.add(value)
            self._say(kind.__name__, repr(value))
        elif isinstance(value, (type, FunctionType, ModuleType)):
            self._refer(value)
        elif isinstance(value, Enum):
            self._say("member", value.name)
            self._refer(kind)
        elif isinstance(value, MethodType):
            self._say("method")
            self._each((value.__func__, value.__self__))
        elif isinstance(value, functools.partial):
            self._say("partial")
            self._each((value.func, value.args, value.keywords))
        elif isinstance(value, _WRAPPERS):
            self._say(kind.__name__)
            self._each(_wrapped_in(value))
        elif isinstance(value, _ARGUMENTS_ARE_ALL):
            self._say(kind.__name__)
            self._each(value.__reduce__()[1:])
        elif isinstance(value, re.Pattern):
            self._say("pattern", repr(value.pattern), value.flags)
        elif isinstance(value, Mapping):
            self._say("mapping", kind.__name__)
            self._each([part for item in value.items() for part in item])
        elif isinstance(value, (list, tuple)):
            self._say(kind.__name__)
            self._each(value)
        elif isinstance(value, AbstractSet):
            self._say("set", kind.__name__)
            self._each(sorted(value, key=_rank))
        elif hasattr(value, "__wrapped__"):  # such as what functools.cache makes
            self._say("wrapped", kind.__name__)
            self._value(value.__wrapped__)
        elif hasattr(value, "__origin__") or hasattr(value, "__args__"):
            self._say("alias", str(getattr(value, "__name__", "")))
            self._each([getattr(value, one, None) for one in _PARTS_OF_ALIASES])
        elif hasattr(value, "__supertype__"):
            self._say("new type", value.__name__)
            self._value(value.__supertype__)
        elif self.follows(kind.__module__):
            self._refer(value)
        else:
            said = getattr(value, "__qualname__", "")
            self._say("other", kind.__module__, kind.__qualname__, str(said))

    def _each(self, values: Sequence[Any]) -> None:
        self._say(len(values))
        for one in values:
            self._value(one)

    def _refer(self, value: Any) -> None:
        place = self._places.get(id(value))
        if place is None:
            place = self._places[id(value)] = len(self._met)
            self._met.append(value)
        self._say("place", place)

    def _body(self, value: Any) -> None:
        match value:
            case type():
                self._class(value)
            case FunctionType():
                self._function(value)
            case ModuleType():
                self._say("module", value.__name__)
            case _:
                self._say("instance")
                self._refer(type(value))
                self._each([part for item in sorted(_state_of(value).items()) for part in item])

    def _function(self, function: FunctionType) -> None:
        module = str(function.__globals__.get("__name__", ""))
        self._say("function", module, function.__qualname__)
        registry = getattr(function, "registry", None)
        if isinstance(registry, Mapping):  # singledispatch
            self._each(sorted(registry.values(), key=_rank))
        if module.partition(".")[0] in sys.stdlib_module_names:
            self._value(getattr(function, "__wrapped__", None))
            return
        self._code(function.__code__)
        self._each((function.__defaults__, function.__kwdefaults__))
        if not self.follows(module):
            return
        names = names_in(function.__code__)
        self._names |= names
        for cell in function.__closure__ or ():
            try:
                self._value(cell.cell_contents)
            except ValueError:
                self._say("an empty cell")
        for name in sorted(names):
            if name in function.__globals__:
                self._global(name, function.__globals__[name], names)
        for one in imported(function):
            if self.follows(one.__name__):
                self._global(one.__name__, one, names)

    def _global(self, name: str, value: Any, names: AbstractSet[str]) -> None:
        self._say("global", name)
        self._value(value)
        if isinstance(value, ModuleType) and self.follows(value.__name__):
            for one in sorted(names & vars(value).keys()):
                below = vars(value)[one]
                if not (isinstance(below, ModuleType) and id(below) in self._places):
                    self._global(one, below, names)

    def _code(self, code: CodeType) -> None:
        arguments = code.co_argcount + code.co_kwonlyargcount
        self._say("code", code.co_code, code.co_exceptiontable, code.co_flags)
        self._say(code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
        self._each((code.co_varnames[:arguments], code.co_names, code.co_freevars))
        for one in constants(code):
            if isinstance(one, CodeType):
                self._code(one)
            else:
                self._value(one)

    def _class(self, cls: type) -> None:
        self._say("class", cls.__module__, cls.__qualname__)
        if not self.follows(cls.__module__):
            return
        self._each([one for one in cls.__bases__ if one is not object])
        self._each((vars(cls).get("__match_args__"), vars(cls).get("_field_defaults")))
        if issubclass(cls, Enum):
            self._each([part for one in cls for part in (one.name, one.value)])
        if is_dataclass(cls) and "__dataclass_fields__" in vars(cls):
            for one in fields(cls):
                self._say("field", one.name, str(one.init), str(one.kw_only))
                self._each((one.default, one.default_factory))

    def _emit_members(self) -> bool:
        """Those of the classes so far whose names were said meanwhile; whether there are any."""
        found = False
        for place, cls in enumerate(list(self._met)):
            if not isinstance(cls, type) or not self.follows(cls.__module__):
                continue
            for name in sorted(vars(cls)):
                member = vars(cls)[name]
                if (place, name) not in self._members and self._counts(name, member):
                    self._members.add((place, name))
                    self._say("member", place, name)
                    self._value(member)
                    found = True
        return found

    def _counts(self, name: str, member: Any) -> bool:
        if name.startswith("__") and name.endswith("__"):
            inner = getattr(member, "__func__", member)
            return isinstance(inner, FunctionType) and not is_generated(inner)
        return name in self._names


_PARTS_OF_ALIASES: Final = ("__origin__", "__args__", "__metadata__", "__value__")


def _wrapped_in(value: Any) -> Sequence[Any]:
    if isinstance(value, property):
        return (value.fget, value.fset, value.fdel)
    return (value.func,) if isinstance(value, functools.cached_property) else (value.__func__,)


def _state_of(value: Any) -> Mapping[str, Any]:
    """The attributes of an object, but for those that are computed when they are asked for."""
    cls = type(value)
    slots = [
        name
        for one in cls.__mro__
        for name in vars(one).get("__slots__", ())
        if not isinstance(one.__dict__.get("__slots__"), str)
    ]
    found = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    computed = {
        name
        for one in cls.__mro__
        for name, member in vars(one).items()
        if isinstance(member, functools.cached_property)
    }
    own = getattr(value, "__dict__", {})
    return {**found, **{name: own[name] for name in own if name not in computed}}


def _rank(value: Any) -> tuple[str, ...]:
    """Of the members of a set: the same in every process."""
    named = value if hasattr(value, "__qualname__") else type(value)
    said = repr(value) if type(value) in _EXACT else str(getattr(value, "name", ""))
    if isinstance(value, (tuple, frozenset)):
        said = "|".join(sorted("/".join(_rank(one)) for one in value))
    return (named.__module__ or "", named.__qualname__, said)


@functools.cache
def _is_at_home(module: str, top: str) -> bool:
    """Whether it is of no installed package, nor of the standard library."""
    if top in sys.stdlib_module_names:
        return False
    file = getattr(sys.modules.get(module) or sys.modules.get(top), "__file__", None)
    return file is None or not _INSTALLED & set(Path(file).parts)
