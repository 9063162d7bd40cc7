"""The product's frozen values as plain JSON values, the same for REST and the command line.

Names are snake_case with the unit in the name, as in the plan JSON; times are RFC 3339 in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from carelane.controller._verification import Verification
from carelane.controller.pipeline.changes import SwitchChanges
from carelane.controller.pipeline.program import FlowRule, Group, Meter, PortBfd
from carelane.controller.pipeline.render import describe_changes
from carelane.topology.model import Endpoint, Link, Node, Topology

__all__ = ["changes_json", "plain", "seen_by", "topology_json", "verification_json"]


def plain(value: Any) -> Any:
    """Any frozen value of carelane as dicts, lists and scalars. Raises TypeError on what JSON cannot carry."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return [plain(item) for item in sorted(value)]
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (IPv4Network, IPv6Network)):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    raise TypeError(f"{type(value).__name__} has no plain form")


def seen_by(tenant: str | None, document: Any) -> Any:
    """Decisions, anywhere in `document`, as `tenant` may see them (None: all of it).

    No slice of another tenant is named.
    """
    if tenant is None:
        return document
    if isinstance(document, Mapping):
        if document.get("kind") == "remove-intent" and document.get("tenant") != tenant:
            return {"kind": "remove-intent", "name": None, "tenant": None, "detail": "another tenant's slice"}
        hidden = {"others"} if "constraint" in document else set[str]()
        for key in ("preempts", "shares_with"):
            if key in document and f"{key}_of" in document:
                rows = zip(document[key], document[f"{key}_of"], strict=True)
                document = {**document, key: [name if owner == tenant else None for name, owner in rows]}
            if key in document:
                hidden.add(f"{key}_of")
        return {name: seen_by(tenant, item) for name, item in document.items() if name not in hidden}
    if isinstance(document, (list, tuple)):
        return [seen_by(tenant, item) for item in document]
    return document


def topology_json(topology: Topology) -> dict[str, Any]:
    """The topology as understood, with every figure in the unit of the plan JSON; null is unknown."""
    return {
        "name": topology.name,
        "nodes": [_node(node) for node in topology.nodes.values()],
        "links": [_link(link) for link in topology.links.values()],
        "endpoints": [_endpoint(endpoint) for endpoint in topology.endpoints.values()],
        "risk_groups": [plain(group) for group in topology.risk_groups.values()],
        "warnings": list(topology.warnings),
    }


def _node(node: Node) -> dict[str, Any]:
    return {**plain(node), "dpid": f"{node.dpid:016x}"}


def _link(link: Link) -> dict[str, Any]:
    return {
        "id": link.id,
        "a": link.a,
        "b": link.b,
        "a_port": link.a_port,
        "b_port": link.b_port,
        "capacity_mbps": _mega(link.capacity_bps),
        "delay_ms": None if link.delay_s is None else round(link.delay_s * 1e3, 9),
        "availability": link.availability,
        "loss": link.loss,
        "length_km": None if link.length_m is None else round(link.length_m / 1e3, 6),
        "risk_groups": sorted(link.risk_groups),
    }


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "node": endpoint.node,
        "port": endpoint.port,
        "address": plain(endpoint.address),
        "capacity_mbps": _mega(endpoint.capacity_bps),
        "mac": endpoint.mac,
        "tenant": endpoint.tenant,
    }


def _mega(rate_bps: int | None) -> float | None:
    return None if rate_bps is None else rate_bps / 1e6


def changes_json(changes: Sequence[SwitchChanges]) -> dict[str, Any]:
    """Pending operations by switch, in order, and the same as text in the manner of ovs-ofctl."""
    switches = [
        {
            "node": change.node,
            "dpid": f"{change.dpid:016x}",
            "operations": [
                {"verb": operation.verb, "kind": _kind(operation.target), "target": plain(operation.target)}
                for operation in change.operations
            ],
            "text": describe_changes(change),
        }
        for change in changes
        if change
    ]
    return {"switches": switches, "operations": sum(len(change.operations) for change in changes)}


def verification_json(found: Verification) -> dict[str, Any]:
    """What verification found; each fault in fields and as one line of text."""
    return {
        "proven": found.proven,
        "slices": found.slices,
        "switches": found.switches,
        "unread": dict(found.unread),
        "beside": {node: list(entries) for node, entries in found.beside.items()},
        "moving": list(found.moving),
        "faults": [{**plain(fault), "text": str(fault)} for fault in found.faults],
    }


def _kind(target: object) -> str:
    if isinstance(target, FlowRule):
        return "flow"
    if isinstance(target, Group):
        return "group"
    if isinstance(target, PortBfd):
        return "watch"
    return "meter" if isinstance(target, Meter) else "queues"
