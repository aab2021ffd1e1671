"""Values that nobody means well with, and where in a request they can be put."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx

from handrail.docs_pages.bounds import fields_of


def _deep(levels: int) -> Any:
    found: Any = "x"
    for _ in range(levels):
        found = [found]
    return found


NUMBERS: Final[Mapping[str, Any]] = {
    "31 bits": 2**31,
    "63 bits": 2**63 - 1,
    "64 bits": 2**63,
    "65 bits": 2**64,
    "minus 65 bits": -(2**64),
    "400 digits": 10**400,
    "minus one": -1,
    "a fraction": 1.5,
    "a huge float": 1e308,
    "NaN": float("nan"),
    "Infinity": float("inf"),
}
TEXTS: Final[Mapping[str, Any]] = {
    "an empty text": "",
    "200,000 letters": "x" * 200_000,
    "a NUL": "a\0b",
    "half a character": "\ud800",
    "a line break": "a\nb",
    "a card number": "4111111111111111",
    "a number as text": "1",
    "the year 1": "0001-01-01",
    "the year 9999": "9999-12-31",
    "the beginning of time": "0001-01-01T00:00:00+14:00",
    "the end of time": "9999-12-31T23:59:59-14:00",
}
OTHERS: Final[Mapping[str, Any]] = {
    "null": None,
    "true": True,
    "an empty list": [],
    "an empty object": {},
    "a name of half a character": {"\ud800": 1},
}
LARGE: Final[Mapping[str, Any]] = {
    "a long list": ["x"] * 20_000,
    "many objects": [{"sku": "x"}] * 10_000,
    "a deep list": _deep(100),
    "a deeper list": _deep(600),
    "a name of 100,000 letters": {"x" * 100_000: 1},
    "many names": {f"x{number}": 2**64 for number in range(5_000)},
}
"""Only told apart where a list or an object is wanted."""
IN_ADDRESSES: Final = (
    "64 bits",
    "400 digits",
    "minus one",
    "NaN",
    "an empty text",
    "200,000 letters",
    "a NUL",
    "half a character",
    "the beginning of time",
    "the end of time",
)
"""What differs from the others once all of it is text."""
VALUES: Final[Mapping[str, Any]] = {**NUMBERS, **TEXTS, **OTHERS, **LARGE}

_PATH: Final = {
    "customer": "c-1",
    "exchange": "money",
    "intervention": "int-1",
    "merchant": "m-1",
    "message": "msg_1",
    "name": "finance",
    "order": "ord-1",
    "queue": "dead",
    "run": "2026-03-02",
    "saga": "ord-1",
    "endpoint": "we_1",
    "delivery": "msg_1",
    "sku": "sku-1",
    "slug": "not-found",
    "source": "bank",
    "stream": "order-ord-1",
    "version": "1",
    "vhost": "finance",
}
_HEADERS: Final = (
    "x" * 5_000,
    "\x80\xff",
    "a b",
    "99999999999999999999",
    "-1",
    "wait=" + "9" * 500,
)


@dataclass(frozen=True)
class Attempt:
    """One request with one hostile value, and where that stands."""

    method: str
    path: str
    what: str
    where: str
    query: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    body: bytes | None

    def __str__(self) -> str:
        return f"{self.method} {self.path} with {self.what} in {self.where}"

    async def made(self, api: httpx.AsyncClient) -> httpx.Response:
        return await api.request(
            self.method,
            self.path,
            params=dict(self.query),
            headers=self.headers,
            content=self.body,
        )


def attempts(
    described: Mapping[str, Any], more: Mapping[tuple[str, str], Any]
) -> Iterator[Attempt]:
    """Of every field of every operation; `more` are bodies beside the examples of the document."""
    definitions = described["components"]["schemas"]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            asked = _Operation(method.upper(), path, operation, definitions)
            yield from asked.parameters()
            yield from asked.bodies(more.get((method.upper(), path)))


@dataclass(frozen=True)
class _Operation:
    method: str
    template: str
    described: Mapping[str, Any]
    definitions: Mapping[str, Any]

    def parameters(self) -> Iterator[Attempt]:
        examples = self._examples()
        body = json.dumps(examples[0]).encode() if examples else None
        for one in self.described.get("parameters", ()):
            name, where = one["name"], one["in"]
            if where == "header":
                for value in _HEADERS:
                    encoded = value.encode("latin-1")
                    yield self._attempt(value[:20], name, body, headers={name: encoded})
                continue
            for what in IN_ADDRESSES:
                text = str(VALUES[what])[:20_000].encode(errors="surrogatepass")
                if where == "path":
                    # What is empty would be another address.
                    yield self._attempt(what, name, body, place={name: quote(text or " ", safe="")})
                else:
                    yield self._attempt(
                        what, name, body, query={name: text.decode(errors="replace")}
                    )

    def bodies(self, more: Any) -> Iterator[Attempt]:
        described = self.described.get("requestBody")
        if described is None:
            return
        schema = described["content"]["application/json"]["schema"]
        examples = self._examples()[:1] + ([more] if more else [])
        pointers = dict(fields_of(schema, "#", self.definitions))
        for example in examples:
            for what, value in VALUES.items():
                yield self._attempt(what, "#", _dumped(value))
                for pointer, bound in sorted(pointers.items()):
                    if what in LARGE and not bound.startswith(("a list", "1 to 20 fields")):
                        continue
                    spoilt = _with(example, pointer, value)
                    yield self._attempt(what, pointer, _dumped(spoilt))

    def _examples(self) -> list[Any]:
        if (described := self.described.get("requestBody")) is None:
            return []
        content = described["content"]["application/json"]
        if "example" in content:
            return [content["example"]]
        name = content["schema"]["$ref"].rsplit("/")[-1]
        found: list[Any] = self.definitions[name]["examples"]
        return found

    def _attempt(
        self,
        what: str,
        where: str,
        body: bytes | None,
        *,
        place: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, bytes] | None = None,
    ) -> Attempt:
        return Attempt(
            method=self.method,
            path=self.template.format(**{**_PATH, **(place or {})}),
            what=what,
            where=where,
            query=query or {},
            headers={
                b"Content-Type": b"application/json",
                b"Idempotency-Key": b"hostile",
                **{name.encode(): value for name, value in (headers or {}).items()},
            },
            body=body,
        )


def _dumped(value: Any) -> bytes:
    # As text first: a deep value must not end the test instead of the request.
    return json.dumps(value).encode()


def _with(example: Any, pointer: str, value: Any) -> Any:
    """The example with the value at the pointer, whatever stood on the way there."""
    parts = pointer.removeprefix("#/").split("/")
    whole: Any = copy.deepcopy(example)
    node = whole
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        key: Any = 0 if isinstance(node, list) else ("x" if part == "*" else part)
        if following is None:
            if isinstance(node, list) and not node:
                node.append(value)
            else:
                node[key] = value
            break
        inner = node[key] if isinstance(node, list) and node else None
        inner = node.get(key) if isinstance(node, dict) else inner
        if not isinstance(inner, dict | list):
            inner = [] if following == "*" else {}
            if isinstance(node, list) and not node:
                node.append(inner)
            else:
                node[key] = inner
        node = inner
    return whole
