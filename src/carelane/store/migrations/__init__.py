"""Alembic scripts, run by `carelane.store` itself on start."""
