"""Personal texts of messages are sealed under the key of their subject, and opened again."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Annotated

import orjson
import pytest

from handrail.kernel import Event
from handrail.personal import ERASED, Personal, holds_sealed, is_sealed
from handrail.privacy.texts import CLEAR, PersonalTexts, SubjectErased
from handrail.sagas.events import SagaResumed
from handrail.sagas.interventions import InterveneInMany, InterventionBegun, SagaFilter
from tests.privacy.keyed import MemoryKeys, in_memory


@dataclass(frozen=True, kw_only=True)
class Booked(Event, context="hotels"):
    guest: str
    room: int
    passport: Annotated[str, Personal(subject="guest")]
    notes: Annotated[tuple[str, ...], Personal(subject="guest")] = ()
    remark: Annotated[str | None, Personal()] = None


BOOKED = Booked(guest="ann", room=7, passport="X-4711", notes=("late", ""), remark="rings at night")


async def test_personal_texts_are_sealed_and_the_rest_stays() -> None:
    sealed = await in_memory().seal(BOOKED, "trip:1")
    assert (sealed.guest, sealed.room) == ("ann", 7)
    assert is_sealed(sealed.passport)
    assert is_sealed(sealed.notes[0])
    assert sealed.notes[1] == ""
    assert sealed.remark
    assert is_sealed(sealed.remark)


async def test_what_was_sealed_is_opened_as_it_was() -> None:
    personal = in_memory()
    assert await personal.open(await personal.seal(BOOKED, "trip:1")) == BOOKED


async def test_the_same_text_is_never_sealed_to_the_same_twice() -> None:
    personal = in_memory()
    one, other = await personal.seal_all([BOOKED, BOOKED], "trip:1")
    assert one.passport != other.passport


async def test_what_is_sealed_already_stays_as_it_is() -> None:
    personal = in_memory()
    once = await personal.seal(BOOKED, "trip:1")
    assert await personal.seal(once, "trip:2") == once


async def test_after_the_erasure_of_its_subject_a_text_reads_as_erased() -> None:
    personal = in_memory()
    sealed = await personal.seal(BOOKED, "trip:1")
    destroyed = await personal.destroy("guest:ann", "dpo")
    opened = await personal.open(sealed)
    assert len(destroyed.now) == 1
    assert (opened.passport, opened.notes[0], opened.remark) == (ERASED, ERASED, BOOKED.remark)


async def test_what_was_erased_is_refused_where_it_is_needed() -> None:
    personal = in_memory()
    sealed = await personal.seal(BOOKED, "trip:1")
    await personal.destroy("guest:ann", "dpo")
    with pytest.raises(SubjectErased):
        await personal.reveal(sealed.passport)


async def test_a_text_without_a_subject_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Booked\.remark is personal, and of no subject here"):
        await in_memory().seal(BOOKED)


async def test_personal_texts_deep_in_an_event_are_sealed() -> None:
    asked = InterveneInMany(
        intervention="int-1",
        which=SagaFilter(),
        kind="retry",
        actor="ops",
        reason="ann rang",
        per_second=1,
        evidence="her letter",
    )
    now = await in_memory().seal(asked)
    assert is_sealed(now.reason)
    assert is_sealed(now.evidence)
    assert InterventionBegun.__dataclass_fields__["asked"]


async def test_a_text_that_repeats_a_sealed_text_is_opened_through() -> None:
    personal = in_memory()
    passport = (await personal.seal(BOOKED, "trip:1")).passport
    resumed = SagaResumed(
        saga="trip-1",
        attempt=1,
        step="Book",
        direction="do",
        intervention="int-1",
        kind="correct",
        actor="ops",
        reason=f"the passport {passport} has expired",
    )
    sealed = await personal.seal(resumed, "trip:1")
    assert (await personal.open(sealed)).reason == "the passport X-4711 has expired"


async def test_json_in_a_text_stays_json_once_it_is_opened() -> None:
    personal = in_memory()
    sealed = await personal.seal_text('say "x"\n', "passport", "guest:ann")
    outer = {"correction": json.dumps({"passport": {"was": sealed}})}
    opened = await personal.open(orjson.loads(orjson.dumps(outer)))
    assert json.loads(opened["correction"]) == {"passport": {"was": 'say "x"\n'}}


async def test_a_sealed_text_that_was_changed_or_moved_to_another_field_reads_as_erased() -> None:
    personal = in_memory()
    passport = (await personal.seal(BOOKED, "trip:1")).passport
    assert await personal.open(passport.replace(":passport:", ":remark:")) == ERASED
    key_id, body = passport.split(":")[1], passport.rsplit(":", 1)[1]
    changed = passport.replace(body, ("B" if body[0] == "A" else "A") + body[1:])
    assert key_id in changed
    assert await personal.open(changed) == ERASED


async def test_a_process_without_keys_passes_on_what_it_gets() -> None:
    sealed = await in_memory().seal(BOOKED, "trip:1")
    assert await CLEAR.seal(BOOKED, "trip:1") == BOOKED
    assert await CLEAR.open(sealed) == sealed


async def test_a_process_that_may_not_seal_yet_opens_all_the_same() -> None:
    keys = MemoryKeys()
    reads = PersonalTexts(keys, seals=False)
    assert await reads.seal(BOOKED, "trip:1") == BOOKED
    assert await reads.open(await PersonalTexts(keys).seal(BOOKED, "trip:1")) == BOOKED


async def test_a_message_without_personal_texts_asks_for_no_key() -> None:
    keys = MemoryKeys()
    silent = replace(BOOKED, passport="", notes=(), remark=None)
    assert await PersonalTexts(keys).seal(silent) == silent
    assert await PersonalTexts(keys).open(silent) == silent
    assert keys.asked == 0


async def test_a_text_from_another_company_is_never_taken_for_a_sealed_text() -> None:
    from handrail.bounds import storable  # noqa: PLC0415  # only here

    passport = (await in_memory().seal(BOOKED, "trip:1")).passport
    assert not holds_sealed(storable(passport, 10_000))
