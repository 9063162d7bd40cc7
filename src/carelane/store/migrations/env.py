"""Alembic's entry: always on the connection and inside the transaction that `carelane.store` opened."""

from __future__ import annotations

from alembic import context

from carelane.store._tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transaction_per_migration=False,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
