"""One log for structlog, the standard library, uvicorn and Temporal: to standard error."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

from handrail.log_filters import no_query, no_wire_dumps
from handrail.settings import Settings


def _traced(
    _logger: Any, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Adds the ids of the current trace and span, where there are any."""
    context = get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format_trace_id(context.trace_id)
        event["span_id"] = format_span_id(context.span_id)
    return event


_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    _traced,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(settings: Settings, process: str) -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *(each for each in _SHARED if not isinstance(each, structlog.stdlib.ExtraAdder)),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_colour,
                *_rendered(settings),
            ],
        )
    )
    handler.addFilter(no_wire_dumps)
    logging.getLogger("httpx").addFilter(no_query)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    if settings.log_level != "debug":  # one line per request of a neighbour drowns all
        for name in ("httpx", "httpcore", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(process=process)


def _without_colour(
    _logger: Any, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    event.pop("color_message", None)  # uvicorn says everything twice
    return event


def _rendered(settings: Settings) -> list[structlog.typing.Processor]:
    if settings.log_format == "json":
        return [
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(default=str),
        ]
    plain = structlog.dev.plain_traceback  # the others print local variables: URLs with passwords
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
