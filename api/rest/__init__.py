"""The REST face."""

from __future__ import annotations

from carelane.api.rest.app import create_app

__all__ = ["create_app"]
