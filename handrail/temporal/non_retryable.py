"""Failures that are the same at every try: Temporal is told not to try again.

So a step parks, and an update is refused, instead of both being tried for ever.
"""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import errors
from pydantic_core import PydanticSerializationError
from sqlalchemy.exc import SQLAlchemyError
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import ApplicationError, FailureError

from handrail.bounds import is_storable, storable
from handrail.eventstore.codec import Unstorable

_LONGEST: Final = 4_000
"""Characters of a message: what it says is kept in histories, and in the saga's own stream."""


class Unreadable(ValueError):
    """What came through Temporal is not what was agreed on: look at who sent it, and with which
    version of the code.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(f"{' '.join((type(self).__doc__ or '').split())} {detail}")


FINAL: Final = (
    Unreadable,
    Unstorable,
    UnicodeEncodeError,
    PydanticSerializationError,
    psycopg.DataError,
    errors.ProgramLimitExceeded,
)
"""What a value is to blame for, and neither time nor place."""


class FinalFailures(DefaultFailureConverter):
    """Marks what is final, and keeps of each message only what can be stored."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        super().to_failure(_sayable(exception), payload_converter, failure)
        if cause := _final(exception):
            info = failure.application_failure_info
            info.non_retryable, info.type = True, info.type or type(cause).__name__


def _final(exception: BaseException) -> BaseException | None:
    # Temporal and SQLAlchemy put what went wrong into exceptions of their own.
    wrapped = isinstance(exception, ApplicationError | SQLAlchemyError)
    cause = exception.__cause__ if wrapped else exception
    return cause if isinstance(cause, FINAL) else None


def _sayable(exception: BaseException) -> BaseException:
    is_failure = isinstance(exception, FailureError)
    said = exception.message if isinstance(exception, FailureError) else str(exception)
    if is_storable(said) and len(said) <= _LONGEST:
        return exception
    said = storable(said, _LONGEST)
    if isinstance(exception, ApplicationError):
        again = ApplicationError(
            said,
            *exception.details,
            type=exception.type,
            non_retryable=exception.non_retryable,
            next_retry_delay=exception.next_retry_delay,
            category=exception.category,
        )
    elif is_failure:
        return exception
    else:
        again = ApplicationError(said, type=type(exception).__name__)
    again.__cause__ = exception.__cause__
    again.__traceback__ = exception.__traceback__
    return again
