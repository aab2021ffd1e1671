"""How a simulated company tells what happened: signed, in the order of each id, until heard."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

import httpx
import orjson
import structlog
from pydantic import BaseModel, TypeAdapter

from handrail import webhook_signatures
from handrail.simulators.request_journal import RequestJournal

_TIMEOUT: Final = 5.0  # seconds
_FIRST_PAUSE: Final = 0.1  # seconds, doubled from try to try
_LONGEST_PAUSE: Final = 5.0
_TRIES: Final = 40
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Target:
    """Where webhooks go, and the secret that signs them."""

    url: str
    secret: str


@dataclass(frozen=True, kw_only=True)
class News:
    """One message, told `after` seconds from the one before it, and `times` times."""

    type: str
    data: Mapping[str, Any]
    after: float = 0.0
    times: int = 1


class Progress(BaseModel):
    """A message is written down when it is due, so that told again it has the same body."""

    state: Literal["due", "heard"]
    body: str


class WebhookSender:
    """Tells each thing once or, where a crash leaves it in doubt, again under the same id."""

    def __init__(self, target: Target | None, ledger_path: Path | None) -> None:
        path = ledger_path and ledger_path.with_name(f"{ledger_path.name}.webhooks")
        self._target = target
        self._journal = RequestJournal(path, TypeAdapter(tuple[str, Progress]))
        self._progress: dict[str, Progress] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._telling: dict[str, asyncio.Task[None]] = {}
        # Nobody is called without a target, and to read the certificates takes a while.
        self._http = httpx.AsyncClient(timeout=_TIMEOUT, verify=target is not None)

    def open(self) -> None:
        self._progress.update(self._journal.open())

    async def close(self) -> None:
        tasks = list(self._telling.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.aclose()
        self._journal.close()

    def schedule(self, turn: str, about: str, news: Sequence[News]) -> None:
        """Begin to send the webhooks that follow from `about`, a request's key, without those that
        were acknowledged. Those of one `turn`, such as an id, are sent one after the other.
        """
        if self._target is not None:
            telling = self._tell_all(self._target, turn, about, news)
            task = self._telling[about] = asyncio.create_task(telling)
            task.add_done_callback(lambda _: self._telling.pop(about, None))

    def withdraw(self, about: str) -> None:
        """Nothing more is told of it."""
        if about in self._telling:
            self._telling[about].cancel()

    async def _tell_all(self, target: Target, turn: str, about: str, news: Sequence[News]) -> None:
        async with self._turns[turn]:
            for one in news:
                id_ = f"msg_{sha256(f'{about} {one.type}'.encode()).hexdigest()[:24]}"
                known = self._progress.get(id_)
                if known is None:
                    await asyncio.sleep(one.after)
                    known = self._note(id_, "due", _body(one))
                if known.state == "due":
                    copies = [self._tell(target, id_, known.body) for _ in range(one.times)]
                    if all(await asyncio.gather(*copies)):
                        self._note(id_, "heard", known.body)

    def _note(self, id_: str, state: Literal["due", "heard"], body: str) -> Progress:
        progress = Progress(state=state, body=body)
        self._progress[id_] = progress
        self._journal.add(id_, progress)
        return progress

    async def _tell(self, target: Target, id_: str, body: str) -> bool:
        """Whether it was heard, at last."""
        for pause in _pauses():
            if await self._is_heard(target, id_, body.encode()):
                return True
            await asyncio.sleep(pause)
        _log.warning("webhook given up", id=id_, url=target.url, tries=_TRIES)
        return False

    async def _is_heard(self, target: Target, id_: str, body: bytes) -> bool:
        now = int(time.time())
        headers = {
            "Content-Type": "application/json",
            webhook_signatures.ID: id_,
            webhook_signatures.TIMESTAMP: str(now),
            webhook_signatures.SIGNATURE: webhook_signatures.sign(target.secret, id_, now, body),
        }
        try:
            answer = await self._http.post(target.url, content=body, headers=headers)
        except httpx.HTTPError:
            return False
        return answer.is_success


def _body(news: News) -> str:
    now = datetime.now(UTC).isoformat()
    content = {"type": news.type, "timestamp": now, "data": {**news.data, "at": now}}
    return orjson.dumps(content).decode()


def _pauses() -> Iterator[float]:
    for tries in range(_TRIES):
        yield min(_FIRST_PAUSE * 2**tries, _LONGEST_PAUSE)
