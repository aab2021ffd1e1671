"""Read your writes: a read that carries a Handrail-Token waits until the read model has seen it."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Header, Request

from api.context import ServicesDep
from api.preferences import seconds_to_wait
from api.problems import Problem, in_header
from api.words import form
from domain import bounds
from eventstore.tokens import (
    BadToken,
    NotYetSeen,
    TokenOfAnotherEpoch,
    UnknownProjection,
    wait_until_seen,
)

TOKEN: Final = "Handrail-Token"  # noqa: S105  # a name, and no secret
_WAITS: Final = 2
_WAITS_AT_MOST: Final = 10


class Freshness:
    def __init__(
        self,
        request: Request,
        services: ServicesDep,
        token: Annotated[
            str | None,
            Header(
                alias=TOKEN,
                json_schema_extra=form(bounds.TOKEN),
                description="The token of a write: the answer will hold what it wrote, or be 503.",
            ),
        ] = None,
        prefer: Annotated[
            str | None,
            Header(
                json_schema_extra={"x-bounds": f"at most {_WAITS_AT_MOST} seconds count"},
                description="`wait=N`: how many seconds (up to 10) to wait for the token.",
            ),
        ] = None,
    ) -> None:
        del prefer  # read from the request: there may be several
        self._database = services.database
        self._token = token
        self._seconds = seconds_to_wait(request, _WAITS_AT_MOST) or _WAITS

    async def of(self, *projections: str, id_: str | None = None) -> None:
        """Raises Problem where a read model has not seen the token in time."""
        for projection in projections if self._token is not None else ():
            await self._wait(projection, self._token or "", id_)

    async def _wait(self, projection: str, token: str, id_: str | None) -> None:
        try:
            await wait_until_seen(self._database, projection, token, id_=id_, timeout=self._seconds)
        except TokenOfAnotherEpoch as error:
            said = f"{error}; read without it"
            raise Problem(
                "token-of-another-epoch", f"{TOKEN}: {said}", [in_header(TOKEN, said)]
            ) from None
        except BadToken:
            said = "not a token that a write was answered with"
            raise Problem(
                "malformed-header", f"{TOKEN}: {said}", [in_header(TOKEN, said)]
            ) from None
        except (NotYetSeen, UnknownProjection):
            raise Problem(
                "read-model-behind",
                f"{projection} has not seen the token within {self._seconds} s",
                retry_after=1,
            ) from None


FreshnessDep = Annotated[Freshness, Depends()]
