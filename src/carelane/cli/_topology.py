"""`carelane topology`: a network as understood, from a file or from a running server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from carelane.cli._client import Client
from carelane.cli._decisions import show
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit, emit_rows, emit_text

if TYPE_CHECKING:
    from carelane.topology import Topology

__all__ = ["run_topology_check", "run_topology_check_there", "run_topology_show", "run_topology_show_there"]

Row = Mapping[str, Any]


def run_topology_show(topology: Topology, *, output: Format) -> Exit:
    """Nodes, links and endpoints with every figure as understood."""
    from carelane.api.present import topology_json

    document = topology_json(topology)
    emit(document, output, lambda: _print_topology(document))
    return Exit.DONE


def _print_topology(document: Row) -> None:
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


def run_topology_show_there(url: str | None, *, output: Format) -> Exit:
    """The same of a running server; who is bound to a tenant sees its endpoints only."""
    document = Client.at(url).get("v1", "topology")
    emit(document, output, lambda: _print_topology(document))
    return Exit.DONE


def run_topology_check(topology: Topology, *, output: Format) -> Exit:
    """What the topology cannot promise; exit 1 when figures are missing or parts are cut off."""
    from carelane.topology import summarize, summary_json

    summary = summary_json(summarize(topology))
    emit(summary, output, lambda: _print_summary(summary))
    return Exit.BROKEN if summary["warnings"] else Exit.DONE


def run_topology_check_there(url: str | None, *, output: Format) -> Exit:
    """The same of a running server, and how its switches and cables differ; exit 1 when they do."""
    answer = Client.at(url).get("v1", "topology", "check")
    faults = [*_switch_faults(answer["switches"]), *(_cable_fault(row) for row in answer["link_mismatches"])]
    notes = [
        f"switch {row['node']} holds what is not carelane's: {text}"
        for row in answer["switches"]
        for text in row["strangers"]
    ]
    avoided = {row["link"]: row["works"] for row in answer.get("links_avoided", ())}
    faults += [f"link {link} does not work" for link, works in avoided.items() if not works]
    notes += [f"link {link} works again, and is avoided for a while" for link, works in avoided.items() if works]
    emit(answer, output, lambda: _print_summary(answer["topology"], faults, notes))
    return Exit.BROKEN if answer["topology"]["warnings"] or faults else Exit.DONE


def _switch_faults(switches: Sequence[Row]) -> Iterator[str]:
    for switch in switches:
        node = switch["node"]
        if not switch["connected"]:
            yield f"switch {node} is not connected" + (f": {switch['reason']}" if switch["reason"] else "")
        yield from (f"switch {node} port {port} is down" for port, up in switch["ports_up"].items() if not up)
        yield from (
            f"switch {node} port {port} is up, and BFD hears nothing there" for port in switch.get("dead_ports", ())
        )
        yield from (f"switch {node}: {text}" for text in switch["mismatches"])


def _cable_fault(row: Row) -> str:
    way = f"{row['node']} port {row['port']} to {row['next_node']} port {row['next_port']}"
    return f"link {way} is declared, and not seen" if row["kind"] == "missing" else f"link {way} is seen, not declared"


def _print_summary(summary: Row, faults: Sequence[str] = (), notes: Sequence[str] = ()) -> None:
    emit_text(
        f"{summary['name']}: {summary['nodes']} nodes, {summary['links']} links, {summary['endpoints']} endpoints, "
        f"{len(summary['components'])} connected parts"
    )
    findings = [("fault", text) for text in faults]
    findings += [("warning", text) for text in summary["warnings"]]
    findings += [("note", text) for text in notes]
    findings += [("note", f"link {link}: the only way between its two sides") for link in summary["bridges"]]
    findings += [("note", f"node {node}: its failure cuts others off") for node in summary["articulation_nodes"]]
    findings += [
        ("note", f"risk group {group['id']}: its failure cuts nodes off from each other")
        for group in summary["risk_groups"]
        if group["divides"]
    ]
    emit_text("")
    emit_rows(("LEVEL", "FINDING"), findings, empty="nothing to report: every promise can be computed")
