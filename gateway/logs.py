"""The service's log: to standard error, as lines for people or as JSON, never with content.

Whatever slips in is cut short here: bytes become their count, long hexadecimal ids their first
eight digits. Payloads, keys and tokens are not logged to begin with.
"""

import logging
import re
import sys
from typing import Literal

import structlog
from structlog.types import EventDict, Processor

Format = Literal["auto", "console", "json"]
_ID_DIGITS = 8
_LONG_HEX = re.compile(r"[0-9a-f]{32,}")


def short_id(value: bytes) -> str:
    """Return the first 8 hex digits of an id: enough to follow a message, useless to anybody."""
    return value.hex()[:_ID_DIGITS]


def configure(level: str, form: Format = "auto") -> None:
    """Send everything below the logger "gateway" to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(form),
            ],
        )
    )
    logger = logging.getLogger("gateway")
    logger.handlers = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def cut_short(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Keep what should not be in a log out of it; the last line of defence."""
    return {key: _cut(value) for key, value in event.items()}


def _cut(value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, str):
        return _LONG_HEX.sub(lambda match: match[0][:_ID_DIGITS], value)
    return value


def _shared() -> list[Processor]:
    return [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        cut_short,
    ]


def _renderer(form: Format) -> Processor:
    if form == "json" or (form == "auto" and not sys.stderr.isatty()):
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=24)
