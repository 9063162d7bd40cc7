"""Settings of a running carelane, from CARELANE_* environment variables or the command line."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["DEFAULT_URL", "Settings"]

DEFAULT_URL = "http://127.0.0.1:8642"


class Settings(BaseSettings):
    """Every setting of `carelane up`; each may be given as CARELANE_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="CARELANE_", extra="forbid")

    topology: Path | None = None
    database: str = Field(default="sqlite:///.carelane/carelane.db", description="SQLAlchemy URL")
    rest_host: str = "127.0.0.1"
    rest_port: int = Field(default=8642, ge=0, le=65535)
    openflow_host: str = "127.0.0.1"
    openflow_port: int = Field(default=6653, ge=0, le=65535)
    ovsdb: str | None = Field(default=None, description="OVSDB remote, such as tcp:127.0.0.1:6640 or unix:/run/...")
    drift_interval_s: float = Field(default=10.0, gt=0)
    log_level: str = "info"
