"""Commands that only read: schema, catalogue, topology show and check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from carelane.cli._decisions import show
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit, emit_json, emit_rows, emit_text

if TYPE_CHECKING:
    from carelane.intents import CatalogueService
    from carelane.topology import Topology, TopologySummary

__all__ = ["run_catalogue", "run_schema", "run_topology_check", "run_topology_show"]


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


def run_topology_show(topology: Topology, *, output: Format) -> Exit:
    """Nodes, links and endpoints with every figure as understood."""
    from carelane.api.present import topology_json

    document = topology_json(topology)
    emit(document, output, lambda: _print_topology(document))
    return Exit.DONE


def _print_topology(document: Mapping[str, Any]) -> None:
    nodes, links, endpoints = document["nodes"], document["links"], document["endpoints"]
    emit_text(f"{document['name']}: {len(nodes)} nodes, {len(links)} links, {len(endpoints)} endpoints\n")
    emit_rows(
        ("NODE", "DPID", "SITE", "AVAILABILITY", "RISK GROUPS"),
        ((n["id"], n["dpid"], n["site"] or "-", show(n["availability"]), _list(n["risk_groups"])) for n in nodes),
    )
    emit_text("")
    emit_rows(
        ("LINK", "A", "B", "CAPACITY", "DELAY", "AVAILABILITY", "RISK GROUPS"),
        (
            (
                link["id"],
                f"{link['a']} port {link['a_port']}",
                f"{link['b']} port {link['b_port']}",
                show(link["capacity_mbps"], "Mbit/s"),
                show(link["delay_ms"], "ms"),
                show(link["availability"]),
                _list(link["risk_groups"]),
            )
            for link in links
        ),
        empty="no links",
    )
    emit_text("")
    emit_rows(
        ("ENDPOINT", "NODE", "PORT", "ADDRESS", "CAPACITY", "TENANT"),
        (
            (
                e["id"],
                e["node"],
                str(e["port"]),
                e["address"] or "-",
                show(e["capacity_mbps"], "Mbit/s"),
                e["tenant"] or "-",
            )
            for e in endpoints
        ),
        empty="no endpoints",
    )


def _list(values: list[str]) -> str:
    return ", ".join(values) or "-"


def run_topology_check(topology: Topology, *, output: Format) -> Exit:
    """What the topology cannot promise; exit 1 when figures are missing or parts are cut off."""
    from carelane.topology import summarize, summary_json

    summary = summarize(topology)
    emit(summary_json(summary), output, lambda: _print_summary(summary))
    return Exit.BROKEN if summary.warnings else Exit.DONE


def _print_summary(summary: TopologySummary) -> None:
    emit_text(
        f"{summary.name}: {summary.nodes} nodes, {summary.links} links, {summary.endpoints} endpoints, "
        f"{len(summary.components)} connected parts"
    )
    findings = [("warning", text) for text in summary.warnings]
    findings += [("note", f"link {link}: the only way between its two sides") for link in summary.bridges]
    findings += [("note", f"node {node}: its failure cuts others off") for node in summary.articulation_nodes]
    findings += [
        ("note", f"risk group {group.id}: its failure cuts nodes off from each other")
        for group in summary.risk_groups
        if group.divides
    ]
    emit_text("")
    emit_rows(("LEVEL", "FINDING"), findings, empty="nothing to report: every promise can be computed")
