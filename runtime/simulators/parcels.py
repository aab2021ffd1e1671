"""What becomes of a simulated parcel, and when: as its address and the timetable say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from handrail.simulators.webhook_sender import News

Seconds = Annotated[float, Field(ge=0)]


class Timetable(BaseModel):
    """`deliver_after` begins at the dispatch. It is for parcels that are booked from now on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dispatch_after: Seconds = 0.5
    deliver_after: Seconds = 1.0


@dataclass(frozen=True, kw_only=True)
class Course:
    """`late` is in seconds; `ends` is None for a parcel that is never heard of again."""

    dispatched: bool = True
    ends: Literal["delivered", "lost"] | None = "delivered"
    late: float = 0.0
    times: int = 1


_COURSES: Final[Mapping[str, Course]] = {
    "lost": Course(ends="lost"),
    "silent": Course(ends=None),
    "twice": Course(times=2),
    "undispatched": Course(dispatched=False, ends=None),
}


def course(ship_to: str) -> Course | None:
    """What `addr_parcel_WORD` means, or None for a WORD that nobody knows."""
    match ship_to.split("_"):
        case ["addr", "parcel", "late", seconds]:
            return Course(late=float(seconds)) if seconds.isdecimal() else None
        case ["addr", "parcel", *words]:
            return _COURSES.get("_".join(words))
        case _:
            return Course()


def news_of(order: str, booking: str, course: Course, timetable: Timetable) -> Sequence[News]:
    """What the carrier tells of a parcel, in this order."""
    data = {"order": order, "booking": booking}
    news = []
    if course.dispatched:
        after = timetable.dispatch_after
        news.append(News(type="parcel.dispatched", data=data, after=after, times=course.times))
    if course.ends is not None:
        why = {"cause": "lost in transit"} if course.ends == "lost" else {}
        after = timetable.deliver_after + course.late
        type_ = f"parcel.{course.ends}"
        news.append(News(type=type_, data={**data, **why}, after=after, times=course.times))
    return news
