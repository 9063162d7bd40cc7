"""`carelane shared-backups`: what could be admitted if backups that never run together shared their capacity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from carelane.cli._decisions import show
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit, emit_rows, emit_text
from carelane.cli._plan import requirements_of
from carelane.cli._sources import Filed
from carelane.controller.pipeline import plan
from carelane.controller.pipeline.admit import Embedding
from carelane.controller.pipeline.rounding import mbps
from carelane.controller.pipeline.shared_backup import SharedPlan, plan_shared
from carelane.controller.pipeline.slice_plan import role_name
from carelane.topology import Topology
from carelane.topology.ledger import CapacityLedger

__all__ = ["run_shared_backups"]


def run_shared_backups(topology: Topology, intents: Sequence[Filed], *, output: Format) -> Exit:
    """Decide in file order, once with reservations of their own and once with shared ones. Raises InputError."""
    requirements = requirements_of(intents, topology)
    own, shared = plan(topology, requirements), plan_shared(topology, requirements)
    document = {
        "topology": topology.name,
        "admitted": sum(decision.admitted for decision in own.decisions),
        "admitted_shared": sum(embedding is not None for embedding in shared.embeddings),
        "intents": [
            {
                "name": decision.name,
                "admitted": decision.admitted,
                "admitted_shared": embedding is not None,
                "paths": [] if embedding is None else _paths(embedding),
            }
            for decision, embedding in zip(own.decisions, shared.embeddings, strict=True)
        ],
        "ports": _ports(topology, own.ledger, shared),
    }
    emit(document, output, lambda: _print(document))
    return Exit.DONE if document["admitted_shared"] == len(requirements) else Exit.REFUSED


def _paths(embedding: Embedding) -> list[dict[str, Any]]:
    return [
        {"role": role_name(row.role), "nodes": list(row.route.nodes), "links": list(row.route.links)}
        for row in embedding.rows
    ]


def _ports(topology: Topology, own: CapacityLedger, shared: SharedPlan) -> list[dict[str, Any]]:
    """Egress ports of links, those that sharing relieves most first."""
    held = dict(own.reserved())
    ports = sorted(port for port in {*held, *shared.pool.ports()} if port[1] in topology.links)
    rows = [(port, held.get(port, 0), shared.pool.reserved_bps(port)) for port in ports]
    rows.sort(key=lambda row: row[2] - row[1])
    return [
        {"node": node, "link": link, "reserved_mbps": mbps(alone), "reserved_shared_mbps": mbps(together)}
        for (node, link), alone, together in rows
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
        f"ones, of {len(document['intents'])}. A planner's figure: the switches give every backup a floor of its own."
    )
