"""The HTTP API, as the command line speaks to it."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Mapping
from typing import Any, Final, Self

import httpx

from handrail.dev.lock import running_stack
from handrail.refused_settings import require
from handrail.settings import Settings

_SECONDS: Final = 15.0


class Away(Exception):
    """The API does not answer. The message says where it was looked for, and what to do."""


class Refused(Exception):
    """The API said no; the message is one line: what is wrong, and what to do about it."""

    def __init__(self, status: int, slug: str, said: str) -> None:
        super().__init__(said)
        self.status = status
        self.slug = slug


def api_url(settings: Settings) -> str:
    """Of the settings, or else of the stack that runs on their folder. Ends the process without."""
    if settings.api_url is None:
        running = running_stack(settings.data_dir) or {}
        settings = settings.model_copy(update={"api_url": running.get("api_url")})
    require(settings, "api_url")
    return str(settings.api_url)


def login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # nobody of this number is known here
        return "operator"


class Api:
    """Raises Refused for every problem, and Away where nobody answers.

    With a `token` it signs in. Without, which only an API in development allows, the login name is
    the actor of what it asks for.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url = url
        signed = {"Authorization": f"Bearer {token}"}
        headers = signed if token else {"Handrail-Actor": login_name()}
        self._http = httpx.Client(base_url=url, timeout=_SECONDS, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **asked: Any) -> Any:
        return self._ask("GET", path, params=_given(asked))

    def post(self, path: str, body: Mapping[str, Any], *, key: str | None = None) -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        return self._ask("POST", path, json=_given(body), headers=headers)

    def delete(self, path: str) -> Any:
        return self._ask("DELETE", path)

    def approve(self, proposal: str, action: str, content: Mapping[str, Any]) -> Any:
        """Send a proposed request again, as the second person who approves it."""
        method, _, path = action.partition(" ")
        headers = {"Idempotency-Key": proposal, "Handrail-Approves": proposal}
        return self._ask(method, path, json=_given(content), headers=headers)

    def items(self, path: str, **asked: Any) -> Iterator[Any]:
        """All of a list, page by page."""
        page = self.get(path, **asked, limit=200)
        while True:
            yield from page["items"]
            if page["next"] is None:
                return
            page = self._ask("GET", page["next"])

    def _ask(self, method: str, path: str, **how: Any) -> Any:
        try:
            answer = self._http.request(method, path, **how)
        except httpx.HTTPError as error:
            said = f"the API at {self._url} does not answer ({type(error).__name__})"
            raise Away(f"{said}: is `handrail up` running, and HANDRAIL_API_URL right?") from None
        if answer.is_success:
            found = answer.json()
            if answer.status_code == httpx.codes.ACCEPTED and found.get("status") == "proposed":
                id_ = found["proposal"]
                said = f"nothing is done yet: another person has to run `handrail approve {id_}`"
                raise Refused(answer.status_code, "proposed", said)
            return found
        raise self._refusal(answer)

    def _refusal(self, answer: httpx.Response) -> Exception:
        if answer.headers.get("content-type") != "application/problem+json":
            return Away(f"what answers at {self._url} is not Handrail's API: {answer.status_code}")
        problem = answer.json()
        page = self._http.get(problem["type"])
        remedy = f" {page.json()['remedy']}" if page.is_success else ""
        detail = problem["detail"].rstrip(".")
        return Refused(answer.status_code, problem["type"].rpartition("/")[2], f"{detail}.{remedy}")


def _given(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}
