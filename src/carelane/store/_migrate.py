"""Bring the database to this version's tables. Safe when several processes start at once."""

from __future__ import annotations

from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine

from carelane.errors import PermanentError
from carelane.store._engine import for_writers, lock_writers

__all__ = ["migrate", "revision_of", "upgrade"]


def migrate(engine: Engine) -> None:
    """Run what is missing in one transaction under the writers' lock. Raises PermanentError for a newer database."""
    with for_writers(engine).begin() as connection:
        lock_writers(connection)
        upgrade(connection)


def upgrade(connection: Connection, revision: str = "head") -> None:
    """The tables of `revision`, within the connection's transaction. Raises PermanentError when it is not known."""
    with as_file(files("carelane.store") / "migrations") as scripts:
        config = Config()
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, revision)
        except CommandError as error:
            raise PermanentError(
                f"the database was written by another version of carelane ({error}); run that one, or restore a copy"
            ) from error


def revision_of(connection: Connection) -> str | None:
    """The revision of the tables; None where carelane has made none."""
    return MigrationContext.configure(connection).get_current_revision()
