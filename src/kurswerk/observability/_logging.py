"""One stream of structured log lines, whoever writes them."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.contextvars import bound_contextvars
from structlog.stdlib import BoundLogger
from structlog.typing import EventDict, Processor

HIDDEN = "***"
_SECRET_NAME = re.compile(r"passw|secret|token|api[-_]?key|authorization|cookie|dsn", re.IGNORECASE)
_SECRET_TEXT = (
    (re.compile(r"(\w://[^:/@\s]*):[^@\s]+@"), rf"\1:{HIDDEN}@"),  # postgresql://me:secret@host
    (re.compile(r"(password\s*=\s*)('[^']*'|\S+)", re.IGNORECASE), rf"\1{HIDDEN}"),  # libpq's key=value form
    (re.compile(r"\bkw_[\w-]{16,}"), f"kw_{HIDDEN}"),  # our API keys
)
# Chatty at INFO: a line per statement, poll, request or tree that our own lines already report.
_QUIET = ("procrastinate", "httpx", "httpcore", "alembic", "uvicorn", "sklearnex")

log_context = bound_contextvars
"""Add values such as ``request_id`` or ``job_id`` to every line that is written inside a ``with`` block."""


def get_logger(name: str) -> BoundLogger:
    """Return a logger; its calls take an event and values by name: ``log.info("job done", job_id=7)``."""
    logger: BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def configure_logging(*, level: str = "info", json: bool | None = None, stream: TextIO | None = None) -> None:
    """Send all log lines of this process to one stream, those of uvicorn, Procrastinate and other libraries too.

    Each line holds the time (UTC), level, logger and event, what `log_context` added, and whatever was given by name.
    Passwords, keys and tokens are replaced by ``***``.

    Parameters
    ----------
    level
        ``debug``, ``info``, ``warning`` or ``error``.
    json
        One JSON object a line, or text for a person; None chooses text where the stream is a terminal.
    stream
        Standard error by default.
    """
    stream = stream or sys.stderr
    terminal = stream.isatty()
    as_json = not terminal if json is None else json
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=terminal)
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, without_secrets, renderer],
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    _replace_handlers(handler, level)


def _replace_handlers(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def without_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace secrets in a log line: values under names such as "password", and passwords and keys inside any text.

    Examples
    --------
    >>> dict(without_secrets(None, "info", {"event": "open postgresql://me:pw@host/db", "api_key": "abc"}))
    {'event': 'open postgresql://me:***@host/db', 'api_key': '***'}
    """
    return {name: HIDDEN if _SECRET_NAME.search(name) else _masked(value) for name, value in event.items()}


def _masked(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): HIDDEN if _SECRET_NAME.search(str(name)) else _masked(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return mask_secrets(str(value))  # an error, a path or a time is written as text anyway


def mask_secrets(text: str) -> str:
    """Replace passwords and keys inside a text.

    Examples
    --------
    >>> mask_secrets("host=db password='my own' refused")
    'host=db password=*** refused'
    """
    for pattern, replacement in _SECRET_TEXT:
        text = pattern.sub(replacement, text)
    return text
