"""Logs: one JSON object a line for machines, coloured lines on a terminal for people.

The whole code base logs through the standard library; here its records are given the ids of the
request, the project and the statement that they belong to, and a form.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

import structlog

_PLAIN = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {
    "message", "asctime", "taskName", "color_message",
}  # fmt: skip


def configure_logs(*, level: str, form: str) -> None:
    """Send everything of this process to stderr; calling it again replaces what was set."""
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    # None of these is told, and to find them out for each record costs as much as to write it.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else _console())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("urllib3", "httpx", "sqlglot", "alembic", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    # That a connection is made anew instead of kept is nobody's concern.
    logging.getLogger("urllib3.connectionpool").setLevel(max(logging.ERROR, root.level))
    logging.captureWarnings(True)


class JsonFormatter(logging.Formatter):
    """A record as one JSON object: its context, its ``extra``, ``event``, ``level``, ``logger``.

    By hand, because two of them are written for each statement: structlog's chain costs more than
    the rest of the logging.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line. What JSON has no form for is told as text."""
        line: dict[str, object] = dict(structlog.contextvars.get_contextvars())
        for key, value in record.__dict__.items():
            if key not in _PLAIN and not key.startswith("_"):
                line.setdefault(key, value)
        line["event"] = record.getMessage()
        line["level"] = record.levelname.lower()
        line["logger"] = record.name
        at = datetime.fromtimestamp(record.created, UTC)
        line["timestamp"] = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _as_text(line)


_as_text = json.JSONEncoder(default=str).encode


def _console() -> logging.Formatter:
    """Coloured lines for people."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _take_extra,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
    )


def _take_extra(
    logger: structlog.types.WrappedLogger, name: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """The ``extra`` of a standard record as members of the event."""
    record = event.get("_record")
    if record is not None:
        for key, value in record.__dict__.items():
            if key not in _PLAIN and not key.startswith("_"):
                event.setdefault(key, value)
    return event
