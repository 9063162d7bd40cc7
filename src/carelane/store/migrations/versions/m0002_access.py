"""API keys, the append-only audit, kept answers, CAMARA sessions; history says whose an intent was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None


def _integer() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _moment() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def upgrade() -> None:
    with op.batch_alter_table("history") as history:
        history.add_column(sa.Column("tenant", sa.String(), nullable=False, server_default=""))
    op.execute(
        "UPDATE history SET tenant = COALESCE((SELECT tenant FROM intents WHERE intents.name = history.name), '')"
    )
    op.create_index("ix_history_tenant", "history", ["tenant"])
    _create_keys()
    _create_audit()
    op.create_table(
        "replays",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("status", _integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "key", name="pk_replays"),
    )
    op.create_index("ix_replays_at", "replays", ["at"])
    _create_sessions()


def _create_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=True),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("expires_at", _moment(), nullable=True),
        sa.Column("revoked_at", _moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _integer(), nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    for column in ("subject", "tenant", "target"):
        op.create_index(f"ix_audit_{column}", "audit", [column])
    if op.get_context().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
            )
        return
    op.execute(
        "CREATE OR REPLACE FUNCTION carelane_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION carelane_audit_is_append_only()"
    )


def _create_sessions() -> None:
    op.create_table(
        "qod_sessions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("intent", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("flow", sa.String(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("sink_credential", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("duration_s", _integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("status_info", sa.String(), nullable=True),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("started_at", _moment(), nullable=True),
        sa.Column("expires_at", _moment(), nullable=True),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_qod_sessions"),
    )
    for column in ("owner", "tenant", "intent", "device", "status"):
        op.create_index(f"ix_qod_sessions_{column}", "qod_sessions", [column])
    op.create_table(
        "qod_events",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("attempts", _integer(), nullable=False),
        sa.Column("next_try_at", _moment(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["qod_sessions.id"], name="fk_qod_events_session_id"),
        sa.PrimaryKeyConstraint("id", name="pk_qod_events"),
    )
    op.create_index("ix_qod_events_session_id", "qod_events", ["session_id"])
    op.create_index("ix_qod_events_next_try_at", "qod_events", ["next_try_at"])


def downgrade() -> None:
    for table in ("qod_events", "qod_sessions", "replays", "audit", "api_keys"):
        op.drop_table(table)
    op.drop_index("ix_history_tenant", "history")
    with op.batch_alter_table("history") as history:
        history.drop_column("tenant")
