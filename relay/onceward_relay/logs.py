"""Structured logs: events with fields, as JSON or for a terminal. Never a payload, a key or a secret."""

import logging
import sys
from typing import Any, Literal, TextIO

import structlog

from onceward.wordless import trace

KAFKA_LOG = "onceward.kafka"
"""Name of the logger that the Kafka client writes to."""


def configure(level: str, form: Literal["auto", "json", "console"], stream: TextIO = sys.stderr) -> None:
    """Send the logs of this process to `stream`."""
    json = form == "json" or (form == "auto" and not stream.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_without_words),
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _without_words(exc_info: structlog.typing.ExcInfo) -> str:
    """Render an exception as classes and frames: its words may repeat a row, and its frames' variables a payload."""
    return trace(exc_info[1])
