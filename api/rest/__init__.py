"""The REST face."""

from __future__ import annotations

from carelane.api.rest.app import create_app
from carelane.api.rest.guard import is_loopback

__all__ = ["create_app", "is_loopback"]
