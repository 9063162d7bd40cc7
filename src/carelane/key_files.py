"""Where secrets lie that carelane makes, and how they are written. Apart from the settings, so that the command line
need not load those."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["DEFAULT_DATABASE", "key_file", "seal_file", "write_secret"]

DEFAULT_DATABASE = "sqlite:///.carelane/carelane.db"


def key_file(chosen: str | None, database: str) -> Path:
    """The first admin key: as chosen, else beside SQLite's file, else in ``.carelane``."""
    return Path(chosen) if chosen else _beside(database) / "admin.key"


def seal_file(chosen: str | None, database: str) -> Path:
    """The keys that seal secrets in the store; likewise."""
    return Path(chosen) if chosen else _beside(database) / "seal.key"


def _beside(database: str) -> Path:
    scheme, _, path = database.partition(":///")
    return Path(path).parent if scheme.startswith("sqlite") and path else Path(".carelane")


def write_secret(file: Path, text: str) -> None:
    """Whole or not at all, and never readable by others, not even for a moment. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
