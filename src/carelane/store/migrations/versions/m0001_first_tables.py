"""Intents, their status, slices with reservations, and history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def _integer() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _moment() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "intents",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("generation", _integer(), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.Column("deleted_at", _moment(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_intents"),
    )
    op.create_index("ix_intents_tenant", "intents", ["tenant"])
    op.create_table(
        "status",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("since", _moment(), nullable=False),
        sa.Column("observed_generation", _integer(), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("decision", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("attempts", _integer(), nullable=False),
        sa.Column("next_retry_at", _moment(), nullable=True),
        sa.Column("version", _integer(), nullable=False),
        sa.ForeignKeyConstraint(["name"], ["intents.name"], name="fk_status_name", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("name", name="pk_status"),
    )
    op.create_index("ix_status_phase", "status", ["phase"])
    _create_slices()
    op.create_table(
        "history",
        sa.Column("id", _integer(), nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("phase_from", sa.String(), nullable=True),
        sa.Column("phase_to", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_history"),
    )
    op.create_index("ix_history_name", "history", ["name"])


def _create_slices() -> None:
    op.create_table(
        "slices",
        sa.Column("id", _integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("generation", _integer(), nullable=False),
        sa.Column("retiring", sa.Boolean(), nullable=False),
        sa.Column("number", _integer(), nullable=False),
        sa.Column("first_label", _integer(), nullable=False),
        sa.Column("labels", _integer(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["name"], ["intents.name"], name="fk_slices_name"),
        sa.PrimaryKeyConstraint("id", name="pk_slices"),
    )
    op.create_index("ix_slices_name", "slices", ["name"])
    op.create_index("ix_slices_first_label", "slices", ["first_label"])
    in_force = sa.text("NOT retiring")
    for column in ("name", "number"):
        op.create_index(
            f"uq_slices_{column}_in_force",
            "slices",
            [column],
            unique=True,
            sqlite_where=in_force,
            postgresql_where=in_force,
        )
    op.create_table(
        "reservations",
        sa.Column("slice_id", _integer(), nullable=False),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("port", sa.String(), nullable=False),
        sa.Column("rate_bps", _integer(), nullable=False),
        sa.ForeignKeyConstraint(["slice_id"], ["slices.id"], name="fk_reservations_slice_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("slice_id", "node", "port", name="pk_reservations"),
    )
    op.create_index("ix_reservations_node_port", "reservations", ["node", "port"])


def downgrade() -> None:
    for table in ("history", "reservations", "slices", "status", "intents"):
        op.drop_table(table)
