"""A copy of the whole store in one file that either database can read, and the way back.

The file is gzip over JSON lines: a head with the revision of the tables, one ``[table, values]`` a row, a tail with the
number of rows. It is taken in one read transaction, so it is one state of the store although others go on writing. What
was saved from SQLite can be restored into PostgreSQL and the other way round. An older backup is restored into the
tables of its own revision, which are then migrated as any database is.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import IO, Any, cast

from sqlalchemy import (
    JSON,
    Connection,
    DateTime,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    func,
    insert,
    inspect,
    select,
    text,
    type_coerce,
)
from sqlalchemy import cast as sql_cast

from carelane import __version__
from carelane.errors import ConflictError, InputError
from carelane.store._access_tables import AuditRow
from carelane.store._engine import for_readers, for_writers, lock_writers, make_engine, sqlite_file, translated
from carelane.store._migrate import revision_of, upgrade
from carelane.store._tables import Base

__all__ = ["BackupReport", "back_up", "restore", "revision"]

FORMAT = 1
BATCH = 1000
MAX_LINE_BYTES = 64 * 2**20
_VERSIONS = "alembic_version"
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup holds: the revision of its tables, when it was taken, and rows by table."""

    revision: str
    taken_at: str
    rows: Mapping[str, int]


def back_up(url: str, target: Path) -> BackupReport:
    """Write the store at `url` to the new file `target`, readable by its owner only.

    The file appears under its name only once it is whole and on the disk. Raises InputError when there is no store at
    `url` or the file exists, StoreUnavailable.
    """
    if target.exists():
        raise InputError("it exists already", str(target), remedy="name a new file, or remove this one")
    with _existing(url) as engine, translated(), for_readers(engine).connect() as connection, connection.begin():
        held = revision_of(connection)
        if held is None:
            raise InputError(f"the database at {_shown(engine)} holds no carelane tables", field="--database")
        partial = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as raw:
                report = _dump(connection, held, raw)
                raw.flush()
                os.fsync(raw.fileno())
            partial.rename(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    return report


def restore(url: str, source: Path, *, subject: str, force: bool = False) -> BackupReport:
    """Fill the database at `url` from a backup, all of it or nothing, and bring it to this version's tables.

    A database that holds anything of carelane's is left alone unless `force`, which replaces it. The audit of what was
    restored tells that `subject` restored it. Stop the server first.
    Raises InputError (not a whole backup), ConflictError (the database is not empty), PermanentError (a newer version's
    backup), StoreUnavailable.
    """
    engine = make_engine(url)
    try:
        with _reading(source) as lines, translated(), for_writers(engine).begin() as connection:
            lock_writers(connection)
            head = _head(lines, source)
            _make_room(connection, force=force)
            upgrade(connection, head["revision"])
            report = BackupReport(head["revision"], head["taken_at"], _fill(connection, lines, source))
            upgrade(connection)
            _record(connection, subject, report, force=force)
    finally:
        engine.dispose()
    return report


def _record(connection: Connection, subject: str, report: BackupReport, *, force: bool) -> None:
    """Whoever can write the database's file may restore it, so the operator of the machine counts as admin."""
    entry = {
        "at": datetime.now(UTC),
        "subject": subject,
        "role": "admin",
        "action": "store.restore",
        "target": "store",
        "after": {"taken_at": report.taken_at, "revision": report.revision, "rows": dict(report.rows), "force": force},
        "request_id": "command line",
    }
    connection.execute(insert(AuditRow).values(entry))


def revision(url: str) -> str | None:
    """The revision of the tables at `url`, looked up without making anything; None where there are none.

    Raises InputError for another URL, StoreUnavailable.
    """
    file = sqlite_file(url)
    if file is not None and not file.exists():
        return None
    engine = make_engine(url)
    try:
        with translated(), engine.connect() as connection:
            return revision_of(connection)
    finally:
        engine.dispose()


@contextmanager
def _existing(url: str) -> Iterator[Engine]:
    """The engine of a database that is there already: opening SQLite's file would make an empty one."""
    file = sqlite_file(url)
    if file is not None and not file.exists():
        raise InputError(f"there is no database at {file}", field="--database")
    engine = make_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _shown(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)


def _tables(connection: Connection) -> list[Table]:
    """Our tables as they are in this database, those that others refer to first.

    Read from the database, not from the code, since its revision may be another.
    """
    ours = {*Base.metadata.tables} & set(inspect(connection).get_table_names())
    metadata = MetaData()
    metadata.reflect(connection, only=sorted(ours))
    return list(metadata.sorted_tables)


def _dump(connection: Connection, revision: str, raw: IO[bytes]) -> BackupReport:
    taken_at = datetime.now(UTC).isoformat(timespec="seconds")
    counts: dict[str, int] = {}
    with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as file:

        def write(value: object) -> None:
            file.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")

        write({"carelane_backup": FORMAT, "version": __version__, "revision": revision, "taken_at": taken_at})
        for table in _tables(connection):
            counts[table.name] = 0
            for row in _rows(connection, table):
                write([table.name, row])
                counts[table.name] += 1
        write({"rows": counts})
    return BackupReport(revision, taken_at, counts)


def _rows(connection: Connection, table: Table) -> Iterator[Values]:
    """Documents leave as the text they are stored as, so that they come back to the byte."""
    as_text = type_coerce if connection.dialect.name == "sqlite" else sql_cast
    columns = [
        as_text(column, Text).label(column.name) if isinstance(column.type, JSON) else column for column in table.c
    ]
    found = connection.execution_options(yield_per=BATCH).execute(select(*columns).order_by(*table.primary_key))
    for row in found.mappings():
        yield {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


@contextmanager
def _reading(source: Path) -> Iterator[Iterator[Any]]:
    """The values of the file's lines. Raises InputError where it is cut short, damaged or something else."""
    try:
        with gzip.open(source, "rb") as file:
            yield (json.loads(line) for line in iter(lambda: _line(file), b""))
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"not a whole backup of carelane: {error}", str(source)) from error


def _line(file: gzip.GzipFile) -> bytes:
    line = file.readline(MAX_LINE_BYTES + 1)
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"a line of more than {MAX_LINE_BYTES} bytes")
    return line


def _head(lines: Iterator[Any], source: Path) -> Mapping[str, Any]:
    head = next(lines, None)
    if not isinstance(head, dict) or head.get("carelane_backup") != FORMAT:
        raise InputError("not a backup that this version reads", str(source), expected="a file of `carelane backup`")
    return head


def _make_room(connection: Connection, *, force: bool) -> None:
    """Only ever drops tables of carelane's own names."""
    tables = _tables(connection)
    held = [t.name for t in tables if connection.scalar(select(func.count()).select_from(t))]
    if held and not force:
        raise ConflictError(
            f"the database is not empty ({', '.join(held)}); restore into an empty one, or replace it with --force"
        )
    for table in reversed(tables):
        table.drop(connection)
    if tables and inspect(connection).has_table(_VERSIONS):
        connection.execute(text(f"DROP TABLE {_VERSIONS}"))


def _fill(connection: Connection, lines: Iterator[Any], source: Path) -> Mapping[str, int]:
    tables = {table.name: table for table in _tables(connection)}
    counts = dict.fromkeys(tables, 0)
    tail: Any = None
    for name, group in groupby(lines, key=lambda line: line[0] if isinstance(line, list) else None):
        if name is None:
            tail = next(group)
            continue
        if name not in tables:
            raise InputError(f"table {str(name)[:60]!r} is not one of revision's {sorted(tables)}", str(source))
        counts[name] += _insert(connection, tables[name], (line[1] for line in group))
    if not isinstance(tail, dict) or tail.get("rows") != counts:
        raise InputError("not a whole backup of carelane: its count of rows is another", str(source))
    return counts


def _insert(connection: Connection, table: Table, rows: Iterable[Values]) -> int:
    count = 0
    for batch in _batches(rows):
        connection.execute(_statement(connection, table), [_values(table, connection, row) for row in batch])
        count += len(batch)
    if count and connection.dialect.name == "postgresql":
        _continue_numbering(connection, table)
    return count


def _batches(rows: Iterable[Values]) -> Iterator[Sequence[Values]]:
    batch: list[Values] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _statement(connection: Connection, table: Table) -> Any:
    """Documents go in as text: as JSON they would be written anew."""
    values: dict[str, Any] = {}
    for column in table.c:
        given = bindparam(column.name, type_=Text() if isinstance(column.type, JSON) else column.type)
        as_json = isinstance(column.type, JSON) and connection.dialect.name == "postgresql"
        values[column.name] = sql_cast(given, JSON) if as_json else given
    return insert(table).values(values)


def _values(table: Table, connection: Connection, row: Values) -> Values:
    made: Values = {}
    for column in table.c:
        value = row[column.name]
        if value is not None and isinstance(column.type, DateTime):
            moment = datetime.fromisoformat(value)
            value = moment if connection.dialect.name == "postgresql" else moment.replace(tzinfo=None)
        elif value is not None and isinstance(column.type, LargeBinary):
            value = base64.b64decode(value)
        made[column.name] = value
    return made


def _continue_numbering(connection: Connection, table: Table) -> None:
    """PostgreSQL's counters know nothing of numbers that were given."""
    for column in table.primary_key:
        if isinstance(column.type, Integer) and not column.foreign_keys:
            counter = connection.scalar(func.pg_get_serial_sequence(table.name, column.name))
            if counter is not None:
                largest = cast(int, connection.scalar(select(func.max(column))))
                connection.execute(select(func.setval(counter, largest)))
