"""Where the first admin key lies. Apart from the settings, so that the command line need not load those."""

from __future__ import annotations

from pathlib import Path

__all__ = ["DEFAULT_DATABASE", "key_file"]

DEFAULT_DATABASE = "sqlite:///.carelane/carelane.db"


def key_file(chosen: str | None, database: str) -> Path:
    """As chosen, else beside SQLite's file, else in ``.carelane``."""
    if chosen:
        return Path(chosen)
    scheme, _, path = database.partition(":///")
    return (Path(path).parent if scheme.startswith("sqlite") and path else Path(".carelane")) / "admin.key"
