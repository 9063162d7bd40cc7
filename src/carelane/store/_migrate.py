"""Bring the database to this version's tables. Safe when several processes start at once."""

from __future__ import annotations

from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Engine

from carelane.errors import PermanentError
from carelane.store._engine import for_writers, lock_writers

__all__ = ["migrate"]


def migrate(engine: Engine) -> None:
    """Run what is missing in one transaction under the writers' lock. Raises PermanentError for a newer database."""
    with (
        as_file(files("carelane.store") / "migrations") as scripts,
        for_writers(engine).begin() as connection,
    ):
        lock_writers(connection)
        config = Config()
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise PermanentError(
                f"the database was written by another version of carelane ({error}); run that one, or restore a copy"
            ) from error
