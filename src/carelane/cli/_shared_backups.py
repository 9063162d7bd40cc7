"""`carelane shared-backups`: what is admitted with backups of their own, and what where all backups share capacity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from carelane.cli._decisions import show
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit, emit_rows, emit_text
from carelane.cli._plan import requirements_of
from carelane.cli._sources import Filed
from carelane.controller.pipeline import plan
from carelane.controller.pipeline.rounding import mbps
from carelane.controller.pipeline.slice_plan import Decision
from carelane.policies.admission import AdmissionPolicy
from carelane.topology import Topology
from carelane.topology.ledger import CapacityLedger

__all__ = ["run_shared_backups"]


def run_shared_backups(topology: Topology, intents: Sequence[Filed], *, output: Format) -> Exit:
    """Decide in file order, once with reservations of their own and once with shared ones. Raises InputError."""
    requirements = requirements_of(intents, topology)
    own = plan(topology, requirements)
    shared = plan(topology, requirements, policy=AdmissionPolicy("shared backups", shared_backups=True))
    document = {
        "topology": topology.name,
        "admitted": sum(decision.admitted for decision in own.decisions),
        "admitted_shared": sum(decision.admitted for decision in shared.decisions),
        "intents": [
            {
                "name": alone.name,
                "admitted": alone.admitted,
                "admitted_shared": together.admitted,
                "backups": together.backups if len(together.paths) > 1 else None,
                "paths": _paths(together),
            }
            for alone, together in zip(own.decisions, shared.decisions, strict=True)
        ],
        "ports": _ports(topology, own.ledger, shared.ledger),
    }
    emit(document, output, lambda: _print(document))
    return Exit.DONE if document["admitted_shared"] == len(requirements) else Exit.REFUSED


def _paths(decision: Decision) -> list[dict[str, Any]]:
    return [
        {"role": path.role, "nodes": list(path.nodes), "links": [hop.link for hop in path.hops]}
        for path in decision.paths
    ]


def _ports(topology: Topology, own: CapacityLedger, shared: CapacityLedger) -> list[dict[str, Any]]:
    """Egress ports of links, those that sharing relieves most first."""
    alone, together = dict(own.reserved()), dict(shared.reserved())
    ports = sorted(port for port in alone.keys() | together.keys() if port[1] in topology.links)
    rows = [(port, alone.get(port, 0), together.get(port, 0)) for port in ports]
    rows.sort(key=lambda row: row[2] - row[1])
    return [
        {"node": node, "link": link, "reserved_mbps": mbps(first), "reserved_shared_mbps": mbps(second)}
        for (node, link), first, second in rows
    ]


def _print(document: Mapping[str, Any]) -> None:
    def word(admitted: bool) -> str:
        return "admitted" if admitted else "refused"

    emit_rows(
        ("NAME", "OWN BACKUPS", "SHARED BACKUPS", "PATHS WITH SHARED BACKUPS"),
        (
            (
                row["name"],
                word(row["admitted"]),
                word(row["admitted_shared"]),
                "; ".join(f"{path['role']} {' '.join(path['nodes'])}" for path in row["paths"]),
            )
            for row in document["intents"]
        ),
        empty="no intents",
    )
    emit_text("")
    emit_rows(
        ("PORT", "RESERVED", "SHARED"),
        (
            (
                f"{row['node']} {row['link']}",
                show(row["reserved_mbps"], "Mbit/s"),
                show(row["reserved_shared_mbps"], "Mbit/s"),
            )
            for row in document["ports"]
        ),
        empty="nothing is reserved",
    )
    emit_text(
        f"\nadmitted: {document['admitted']} with backups of their own, {document['admitted_shared']} with shared "
        f"ones, of {len(document['intents'])}. Policy `backups: shared` makes it so."
    )
