"""Commands that only read what comes with carelane: schema and catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carelane.cli._decisions import show
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit, emit_json, emit_text

if TYPE_CHECKING:
    from carelane.intents import CatalogueService

__all__ = ["run_catalogue", "run_schema"]


def run_schema() -> Exit:
    """The JSON Schema of manifests; always JSON, because it is for programs."""
    from carelane.intents import json_schema

    emit_json(json_schema())
    return Exit.DONE


def run_catalogue(*, output: Format) -> Exit:
    """Services, their defaults and the source of each."""
    from carelane.api.present import plain
    from carelane.intents import CATALOGUE

    services = tuple(CATALOGUE.values())
    emit({"services": plain(services)}, output, lambda: _print_catalogue(services))
    return Exit.DONE


def _print_catalogue(services: tuple[CatalogueService, ...]) -> None:
    for service in services:
        names = ", ".join((service.title, service.title_zh, *service.aliases))
        emit_text(f"{service.name}  ({names})")
        emit_text(f"  class {service.traffic_class}, priority {service.priority}")
        for field, default in service.defaults.items():
            value = "none: the intent must state it" if default.value is None else _default_text(field, default.value)
            emit_text(f"  {field.rsplit('_', 1)[0] if '_' in field else field}: {value}  [{default.source}]")
        if service.note:
            emit_text(f"  note: {service.note}")
        emit_text("")


def _default_text(field: str, value: float | int | str) -> str:
    from carelane.units import format_duration, format_rate

    if isinstance(value, str):
        return value
    if field.endswith("_bps"):
        return format_rate(value)
    if field.endswith("_s"):
        return format_duration(value)
    return f"{value} bytes" if field.endswith("_bytes") else show(value)
