"""What a service needs: the catalogue, intents in one line and in manifests, and the life of an intent.

Names are loaded when first used, because the parsers behind them are slow to import and most commands need few.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from carelane.intents.model import OFF, CatalogueService, Schedule, ServiceIntent, Sourced, StatedObjectives

if TYPE_CHECKING:
    from carelane.intents._quantities import MAX_PRIORITY
    from carelane.intents.catalogue import CATALOGUE, find_service
    from carelane.intents.line import parse_line
    from carelane.intents.manifest import from_manifest, json_schema, load_intents, read_intents, to_manifest, to_yaml

__all__ = [
    "CATALOGUE",
    "MAX_PRIORITY",
    "OFF",
    "CatalogueService",
    "Schedule",
    "ServiceIntent",
    "Sourced",
    "StatedObjectives",
    "find_service",
    "from_manifest",
    "json_schema",
    "load_intents",
    "parse_line",
    "read_intents",
    "to_manifest",
    "to_yaml",
]

_HOMES = {
    "CATALOGUE": "catalogue",
    "MAX_PRIORITY": "_quantities",
    "find_service": "catalogue",
    "from_manifest": "manifest",
    "json_schema": "manifest",
    "load_intents": "manifest",
    "parse_line": "line",
    "read_intents": "manifest",
    "to_manifest": "manifest",
    "to_yaml": "manifest",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"carelane.intents.{_HOMES[name]}"), name)
