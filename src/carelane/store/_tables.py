"""The tables. Changing anything here needs a migration in `carelane.store.migrations` (a test compares the two).

Documents (manifest, decision, conditions) are JSON text, never JSONB: the same input keeps giving the same bytes,
and a float comes back as the float that went in.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, ForeignKey, Index, Integer, MetaData, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

__all__ = ["Base", "DrainRow", "HistoryRow", "IntentRow", "ReservationRow", "SliceRow", "StatusRow", "UtcDateTime"]


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    # Rates pass 2**31 bit/s, so integers are 64 bits wide; SQLite only numbers rows of plain INTEGER keys itself.
    type_annotation_map = {int: BigInteger().with_variant(Integer, "sqlite")}  # noqa: RUF012
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class IntentRow(Base):
    """What was filed last under a name. `deleted_at` is set from the moment somebody asked to withdraw it."""

    __tablename__ = "intents"

    name: Mapped[str] = mapped_column(String, primary_key=True)
    tenant: Mapped[str] = mapped_column(String, index=True)
    generation: Mapped[int]
    manifest: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    status: Mapped[StatusRow] = relationship(lazy="joined", innerjoin=True, cascade="all, delete-orphan")


class StatusRow(Base):
    """What became of it. `version` makes a writer that read an older row fail instead of overwriting."""

    __tablename__ = "status"

    name: Mapped[str] = mapped_column(ForeignKey("intents.name", ondelete="CASCADE"), primary_key=True)
    phase: Mapped[str] = mapped_column(String, index=True)
    reason: Mapped[str]
    message: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    observed_generation: Mapped[int]
    conditions: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    decision: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    attempts: Mapped[int]
    next_retry_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - the declarative API's own spelling


class SliceRow(Base):
    """Capacity and numbers that are held: by the slice in force (`retiring` false, at most one a name), or by one
    that is replaced or withdrawn but may still have rules on switches."""

    __tablename__ = "slices"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(ForeignKey("intents.name"), index=True)
    generation: Mapped[int]
    retiring: Mapped[bool]
    number: Mapped[int]
    first_label: Mapped[int] = mapped_column(index=True)
    labels: Mapped[int]
    decision: Mapped[str] = mapped_column(Text)

    reservations: Mapped[list[ReservationRow]] = relationship(cascade="all, delete-orphan")

    __table_args__ = (
        Index("uq_slices_name_in_force", "name", unique=True, sqlite_where=text("NOT retiring"),
              postgresql_where=text("NOT retiring")),
        Index("uq_slices_number_in_force", "number", unique=True, sqlite_where=text("NOT retiring"),
              postgresql_where=text("NOT retiring")),
    )  # fmt: skip


class ReservationRow(Base):
    """A floor at one egress port: `port` is the id of the link or endpoint that `node` sends to."""

    __tablename__ = "reservations"

    slice_id: Mapped[int] = mapped_column(ForeignKey("slices.id", ondelete="CASCADE"), primary_key=True)
    node: Mapped[str] = mapped_column(String, primary_key=True)
    port: Mapped[str] = mapped_column(String, primary_key=True)
    rate_bps: Mapped[int]

    __table_args__ = (Index(None, "node", "port"),)


class HistoryRow(Base):
    """One step of an intent's life; rows are added and never changed."""

    __tablename__ = "history"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    name: Mapped[str] = mapped_column(String, index=True)
    phase_from: Mapped[str | None] = mapped_column(String)
    phase_to: Mapped[str] = mapped_column(String)
    reason: Mapped[str] = mapped_column(String)
    message: Mapped[str] = mapped_column(Text)
    tenant: Mapped[str] = mapped_column(String, index=True, server_default="")


class DrainRow(Base):
    """A link or switch that is out of service on purpose."""

    __tablename__ = "drains"

    kind: Mapped[str] = mapped_column(String, primary_key=True)
    name: Mapped[str] = mapped_column(String, primary_key=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)


class MoveRow(Base):
    """A slice that the last re-optimisation moved: the links it had before."""

    __tablename__ = "moves"

    name: Mapped[str] = mapped_column(String, primary_key=True)
    generation: Mapped[int]
    links: Mapped[list[str]] = mapped_column(JSON)
