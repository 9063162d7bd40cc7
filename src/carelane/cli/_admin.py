"""`carelane backup` and `carelane restore`."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from carelane.cli._exit import Exit, tell
from carelane.key_files import seal_file
from carelane.settings import load_settings
from carelane.store.backup import BackupReport, back_up, restore

__all__ = ["local_user", "run_backup", "run_restore"]


def local_user() -> str:
    """Who acts on the store without a server, for the audit: the account of this machine."""
    try:
        return f"local:{pwd.getpwuid(os.geteuid()).pw_name}"
    except KeyError:  # a container may run as a number that no account has
        return f"local:{os.geteuid()}"


def run_backup(database: str | None, target: Path) -> Exit:
    """Raises InputError, StoreUnavailable."""
    settings = load_settings({"database": database})
    report = back_up(settings.database, target)
    tell(f"{target}: {_text(report)}")
    keys = seal_file(settings.seal_file, settings.database)
    if keys.exists():
        tell(f"tokens of sinks in it are sealed; their keys are in {keys} alone: keep a copy, apart from the backup")
    return Exit.DONE


def run_restore(database: str | None, source: Path, *, force: bool) -> Exit:
    """Raises InputError, ConflictError, PermanentError, StoreUnavailable."""
    report = restore(load_settings({"database": database}).database, source, subject=local_user(), force=force)
    tell(f"restored what was saved at {report.taken_at}: {_text(report)}")
    tell("start the server: it reads the switches back and changes what differs")
    return Exit.DONE


def _text(report: BackupReport) -> str:
    return f"revision {report.revision}; " + ", ".join(f"{rows} {table}" for table, rows in report.rows.items())
