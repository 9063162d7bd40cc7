"""Logs: structlog, one event a line, on stderr; the libraries' own records join the same stream."""

from __future__ import annotations

import logging
import sys
from typing import Literal, TextIO

import structlog
from structlog.typing import Processor

__all__ = ["configure_logs"]

LogFormat = Literal["auto", "console", "json"]
_NOISY = {"os_ken": logging.WARNING, "ovsdbapp": logging.WARNING, "alembic": logging.WARNING, "ovs": logging.WARNING}


def configure_logs(level: str = "info", log_format: LogFormat = "auto", stream: TextIO | None = None) -> None:
    """Send all logging of the process to `stream` (stderr). `auto`: console on a terminal, else JSON lines.

    Libraries that narrate every message are heard from warnings up, unless `level` is debug.
    """
    stream = stream or sys.stderr
    threshold = logging.getLevelNamesMapping()[level.upper()]
    console = log_format == "console" or (log_format == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    ending: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=stream.isatty())]
        if console
        else [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(ensure_ascii=False)]
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
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    logging.captureWarnings(capture=True)
    for name, floor in _NOISY.items():
        logging.getLogger(name).setLevel(threshold if threshold <= logging.DEBUG else max(floor, threshold))
