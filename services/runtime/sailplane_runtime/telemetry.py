"""The log: structlog, as JSON for machines or as text for people, on standard error.

Libraries that log with the standard library come out the same way, from the level `warning` on. Tracebacks are plain
ones, without the values of variables, which may be anybody's inputs.
"""

import logging
import sys
from typing import Any, TextIO

import structlog
from sailplane_core.errors import InvalidRequest

from .settings import LogSettings

FORMATS = ("auto", "console", "json")
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Set up logging for the whole process, once, before anything logs. Raises `InvalidRequest` on unknown words."""
    if settings.format not in FORMATS:
        raise InvalidRequest.invalid("log format", f"must be one of {', '.join(FORMATS)}")
    if settings.level not in LEVELS:
        raise InvalidRequest.invalid("log level", f"must be one of {', '.join(LEVELS)}")
    out = stream or sys.stderr
    is_json = settings.format == "json" or (settings.format == "auto" and not out.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if is_json
        else [structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.level]),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    handler.addFilter(_is_news)
    logging.basicConfig(handlers=[handler], level=max(logging.WARNING, LEVELS[settings.level]), force=True)


def _is_news(record: logging.LogRecord) -> bool:
    """Not that a client went away in the middle of a reply: gRPC logs that as an error, and anybody can do it."""
    return not (record.name.startswith("grpc.") and "ExecuteBatchError" in record.getMessage())
