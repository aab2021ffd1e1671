"""Signing in at a running API: keys that rotate under load, an issuer behind TLS, and the CLI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import uvicorn

from handrail.access import key_records
from handrail.access.authentication import Authentication, SignInUnavailable
from handrail.access.issuer import IssuerAddress
from handrail.access.key_records import KeyRights
from handrail.database_engine import open_engine
from handrail.http.database import Database
from handrail.processes.authentication import authentication_of
from runtime.app import HANDRAIL
from runtime.settings import ShopSettings
from tests.access.issuer import AUDIENCE, Issuer, a_key, an_issuer, key_set, verifier
from tests.api.callers import signed_in
from tests.api.conftest import House
from tests.api.shop import eventually, problem
from tests.commands import Ended, handrail, without_settings
from tests.statements import statements_of

LASTS = timedelta(days=1)


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with an_issuer() as one:
        yield one


def in_earnest(house: House, issuer: Issuer, **settings: Any) -> Authentication:
    given = {"auth_issuer": issuer.address, "auth_audience": AUDIENCE} | settings
    return authentication_of(HANDRAIL.access, ShopSettings(**given), Database(house.engine).connect)


async def make(house: House, name: str, *roles: str) -> str:
    async with open_engine(house.database, size=1) as owner, owner.connect() as connection:
        rights = KeyRights(name=name, roles=roles)
        return str(await key_records.create(connection, rights, by="a test", lasts=LASTS))


@asynccontextmanager
async def load(ask: Callable[[], Awaitable[httpx.Response]]) -> AsyncIterator[list[int]]:
    """Asks all the time while the block lasts: the status of each answer."""
    found, ended = list[int](), asyncio.Event()

    async def one() -> None:
        while not ended.is_set():
            found.append((await ask()).status_code)

    asking = [asyncio.create_task(one()) for _ in range(4)]
    try:
        yield found
    finally:
        ended.set()
        await asyncio.gather(*asking)


async def many(found: list[int]) -> None:
    """Wait until some more requests are answered."""
    until = len(found) + 20

    async def answered() -> bool | None:
        return len(found) >= until or None

    await eventually(answered, "requests are answered")


@pytest.mark.thorough
async def test_a_key_is_rotated_under_load_without_a_failed_request(
    house: House, issuer: Issuer
) -> None:
    used = [await make(house, "rotating", "reader")]
    authentication = in_earnest(house, issuer, auth_key_seconds=0.05)
    async with house.api(authentication=authentication) as api:
        async with load(lambda: api.get("/sagas", headers=signed_in(used[-1]))) as found:
            await many(found)
            async with open_engine(house.database, size=1) as owner, owner.connect() as connection:
                other = await key_records.rotate(
                    connection, "rotating", by="a test", lasts=LASTS, overlap=timedelta(hours=1)
                )
                await many(found)
                used.append(str(other))
                await many(found)
                old = used[0].split("_")[1]
                await key_records.revoke(connection, old, by="a test", reason="rotated")
            await many(found)
        assert set(found) == {200}

        async def is_refused() -> bool | None:
            answer = await api.get("/sagas", headers=signed_in(used[0]))
            return answer.status_code == 401 or None

        await eventually(is_refused, "the old key is refused")


@pytest.mark.thorough
async def test_the_issuer_changes_its_key_under_load_without_a_failed_request(
    house: House, issuer: Issuer
) -> None:
    authentication = in_earnest(house, issuer, auth_jwks_seconds=1)
    async with house.api(authentication=authentication) as api:

        async def ask() -> httpx.Response:
            return await api.get("/sagas", headers=signed_in(issuer.token(roles=["reader"])))

        async with load(ask) as found:
            await many(found)
            new = a_key("two")
            issuer.keys.insert(0, new)  # it is published before it signs

            async def is_known() -> bool | None:
                token = issuer.token(key=new, roles=["reader"])
                answer = await api.get("/sagas", headers=signed_in(token))
                return answer.status_code == 200 or None

            await eventually(is_known, "the new key is known")
            issuer.keys = [issuer.keys[1], new]
            await many(found)
        assert set(found) == {200}


@pytest.mark.thorough
async def test_a_token_costs_no_statement_and_a_key_one_in_a_few_seconds(
    house: House, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await make(house, "counted", "reader")
    sent = statements_of(house.database, monkeypatch)

    async def statements(api: httpx.AsyncClient, **headers: str) -> int:
        await api.get("/webhooks", headers=headers)  # what a connection prepares once
        del sent[:]
        for _ in range(3):
            answer = await api.get("/webhooks", headers=headers)
            assert answer.status_code == 200, answer.text
        return len([one for one in sent if "webhooks" in one or "api_keys" in one])

    async with house.api() as development:
        free = await statements(development)
    async with house.api(authentication=in_earnest(house, issuer)) as api:
        assert await statements(api, **signed_in(issuer.token(roles=["reader"]))) == free
    async with house.api(authentication=in_earnest(house, issuer)) as api:
        await api.get("/webhooks", headers=signed_in(key))
        looked_up = [one for one in sent if "api_keys" in one]
        assert len(looked_up) == 1
        assert await statements(api, **signed_in(key)) == free


async def test_without_its_database_an_api_key_cannot_be_verified(
    house: House, issuer: Issuer
) -> None:
    key = await make(house, "unlucky", "reader")
    async with open_engine("postgresql://any:any@127.0.0.1:9/any", size=1) as nowhere:
        authentication = authentication_of(
            HANDRAIL.access, ShopSettings(auth="keys"), Database(nowhere).connect
        )
        async with house.api(authentication=authentication) as api:
            answer = await api.get("/sagas", headers=signed_in(key))
            problem(answer, 503, "database-unavailable")
            token = issuer.token(roles=["reader"])
            answer = await api.get("/sagas", headers=signed_in(token))
            problem(answer, 401, "not-signed-in")


async def test_without_the_issuer_a_token_cannot_be_verified(house: House, issuer: Issuer) -> None:
    issuer.away = True
    async with house.api(authentication=in_earnest(house, issuer)) as api:
        answer = await api.get("/sagas", headers=signed_in(issuer.token(roles=["reader"])))
        problem(answer, 503, "sign-in-unavailable")
        assert answer.headers["Retry-After"] == "2"


@asynccontextmanager
async def behind_tls(issuer: Issuer, folder: Path) -> AsyncIterator[Path]:
    """Gives the file of the authority that has signed its certificate."""
    authority = trustme.CA()
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    config = uvicorn.Config(
        issuer.app(), port=0, log_level="warning", ssl_certfile=certificate, ssl_keyfile=key
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())

    async def started() -> bool | None:
        return server.started or None

    try:
        await eventually(started, "the issuer answers")
        issuer.address = f"https://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        yield folder / "ca.pem"
    finally:
        server.should_exit = True
        await serving


async def test_an_issuer_behind_tls_is_believed_with_its_authority_only(tmp_path: Path) -> None:
    issuer = Issuer()
    async with behind_tls(issuer, tmp_path) as authority:
        trusting = key_set(issuer)
        trusting._load = IssuerAddress(issuer.address, None, authority).load
        assert await verifier(issuer, keys=trusting).principal(issuer.token())
        with pytest.raises(SignInUnavailable):
            await verifier(issuer).principal(issuer.token())


async def command(address: str, *words: str, **variables: str) -> Ended:
    environment = without_settings() | {"HANDRAIL_API_URL": address} | variables
    return await handrail(*words, environment=environment)


@pytest.mark.thorough
async def test_commands_sign_in_with_a_file(house: House, issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(await make(house, "operations", "operator") + "\n")
    async with house.api(authentication=in_earnest(house, issuer)) as api:
        address = str(api.base_url)
        code, out, error = await command(
            address, "sagas", "list", "--json", HANDRAIL_API_TOKEN_FILE=str(file)
        )
        assert code == 0, error
        assert "sagas" in json.loads(out)
        code, _, error = await command(address, "sagas", "list")
        assert code == 1
        assert "Send `Authorization: Bearer`" in error


async def test_a_command_without_the_right_says_which_is_missing(
    house: House, issuer: Issuer
) -> None:
    key = await make(house, "looking-on", "reader")
    async with house.api(authentication=in_earnest(house, issuer)) as api:
        words = ("sagas", "cancel", "no-such-saga", "--reason", "a test")
        code, _, error = await command(str(api.base_url), *words, HANDRAIL_API_TOKEN=key)
    assert code == 1
    assert error.startswith("service:looking-on has not the scope sagas:intervene")


@pytest.mark.thorough
async def test_what_one_person_proposes_another_approves_by_commands(
    house: House, issuer: Issuer
) -> None:
    proposer, approver = await make(house, "ann", "operator"), await make(house, "bob", "approver")
    authentication = in_earnest(house, issuer)
    async with house.api(authentication=authentication, four_eyes=True) as api:
        address = str(api.base_url)
        skip = ("skip", "no-such-saga", "--evidence", "ticket 7", "--reason", "a test")
        code, _, error = await command(address, "sagas", *skip, HANDRAIL_API_TOKEN=proposer)
        assert code == 1
        assert "nothing is done yet" in error
        approve = error.partition("`handrail ")[2].partition("`")[0].split()
        code, out, error = await command(address, *approve, HANDRAIL_API_TOKEN=approver)
        assert code == 0, error
        assert "service:ann proposes POST /sagas/no-such-saga/interventions" in out
        code, _, error = await command(address, *approve, "--yes", HANDRAIL_API_TOKEN=proposer)
        assert code == 1
        assert "has not the scope proposals:approve" in error
        # It is approved, and what it does then is refused: there is no such saga.
        code, _, error = await command(address, *approve, "--yes", HANDRAIL_API_TOKEN=approver)
        assert (code, "no saga no-such-saga" in error) == (1, True), error
        proposal = (await api.get(f"/proposals/{approve[1]}", headers=signed_in(approver))).json()
        assert proposal["approved_by"] == "service:bob"
