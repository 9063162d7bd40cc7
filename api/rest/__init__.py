"""The REST face. `create_app` is loaded when first used: it assembles other faces too, which use parts of this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carelane.api.rest.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    if name != "create_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from carelane.api.rest.app import create_app

    return create_app
