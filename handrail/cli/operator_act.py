"""Audit of operators at the command line: an act is stored before the command does it.

Where it cannot be stored, it is not done. The principal is the login of this machine. A process
without the keys of personal texts stores no reason in clear: an act that comes with one is refused.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from handrail import bounds
from handrail.access.database_roles import OPERATOR
from handrail.cli.api_client import login_name
from handrail.refused_settings import BAD_SETTINGS, variable
from handrail.settings import SettingsT

if TYPE_CHECKING:
    from handrail.audit.acts import OperatorActRequested

NOT_KEPT_HERE: Final = "kept with what it changed: this process has no keys of personal texts"
NO_KEYS: Final = (
    f"{variable('subject_keys_file')}: is needed here, as a reason is stored sealed: name the file"
    " of keys that the API has (docs/personal-data.md)"
)
NOT_STORED: Final = (
    "the act could not be stored in the audit, so it is not done: see that the database is"
    " reachable and migrated, and that its login may append acts (docs/audit.md)"
)
_LONGEST: Final = 10.0
"""Seconds for one event of the audit."""


@dataclass(frozen=True)
class OperatorAct:
    """`name` is the command, `target` what it is done to: never a secret. `actor` is for whom, and
    empty for who is logged in. `first` is False for what only makes that acts can be stored: it is
    stored once it is done.
    """

    name: str
    target: str = ""
    actor: str | None = None
    reason: str = ""
    first: bool = True


async def audited(
    settings: SettingsT, act: OperatorAct, work: Callable[[SettingsT], Awaitable[int]]
) -> int:
    """The exit code of the work; 1 where the act could not be stored, and nothing was done; that of
    bad settings where its reason would have to be stored in clear.
    """
    if act.first and act.reason and _seals(settings) and settings.subject_keys_file is None:
        print(NO_KEYS, file=sys.stderr)
        return BAD_SETTINGS
    request = uuid4().hex
    stored = False
    if act.first:
        try:
            await _stored(settings, act, request)
        except Exception as error:  # noqa: BLE001  # whatever it is, nothing may be done
            print(f"{NOT_STORED}: {_said(error)}", file=sys.stderr)
            return 1
        stored = True
    code = 1
    try:
        code = await work(settings)
    finally:
        try:
            if not stored:
                await _stored(settings, act, request)
            await _stored(settings, act, request, code=code)
        except Exception as error:  # noqa: BLE001  # it was done
            print(f"the audit lacks how {act.name} ended: {_said(error)}", file=sys.stderr)
    return code


async def _stored(
    settings: SettingsT, act: OperatorAct, request: str, *, code: int | None = None
) -> None:
    # Few commands need the database, and each loads what it runs.
    from handrail.audit.acts import OperatorActAnswered  # noqa: PLC0415
    from handrail.audit.append_audit import APPEND_AUDIT, parameters  # noqa: PLC0415
    from handrail.database_engine import open_engine  # noqa: PLC0415
    from handrail.load_app import the_app  # noqa: PLC0415

    principal = f"login:{login_name()}"
    name = f"handrail {act.name}"
    url = settings.database_url_of(OPERATOR)
    if url is None:
        raise LookupError("HANDRAIL_DATABASE_URL is not set")
    async with asyncio.timeout(_LONGEST):
        event = (
            await _requested(settings, act, request, principal)
            if code is None
            else OperatorActAnswered(request=request, act=name, principal=principal, status=code)
        )
        actor = f"{principal} for {act.actor}" if act.actor else principal
        role = settings.database_role or ""
        async with (
            open_engine(url, role=role, size=1, name="handrail audit") as engine,
            engine.connect() as connection,
        ):
            await connection.execute(APPEND_AUDIT, parameters(the_app().codec, event, actor=actor))


async def _requested(
    settings: SettingsT, act: OperatorAct, request: str, principal: str
) -> OperatorActRequested:
    from handrail.audit.acts import OperatorActRequested  # noqa: PLC0415
    from handrail.audit.append_audit import LONGEST_TARGET  # noqa: PLC0415
    from handrail.personal import subject_of  # noqa: PLC0415
    from handrail.processes.personal_texts import personal_texts  # noqa: PLC0415

    seals = _seals(settings)
    has_keys = settings.subject_keys_file is not None
    event = OperatorActRequested(
        request=request,
        act=f"handrail {act.name}",
        target=bounds.storable(act.target, LONGEST_TARGET),
        principal=principal,
        acting_for=act.actor or "",
        origin=f"cli {login_name()}@{socket.gethostname()}",
        reason=NOT_KEPT_HERE if act.reason and seals and not has_keys else act.reason,
    )
    async with personal_texts(
        settings, declared=seals and has_keys, name="handrail audit"
    ) as personal:
        return await personal.seal(event, subject_of("audit", datetime.now(UTC).date().isoformat()))


def _seals(settings: SettingsT) -> bool:
    from handrail.load_app import the_app  # noqa: PLC0415  # as above

    return settings.personal_fields == "sealed" and the_app().has_personal_fields


def _said(error: Exception) -> str:
    said = str(getattr(error, "orig", error)) or type(error).__name__
    return said.partition("\n")[0]
