"""A topology written back as its manifest: `parse_topology` of the YAML of it gives an equal topology."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from carelane.topology.model import Endpoint, Link, Node, RiskGroup, Topology
from carelane.units import duration_text, rate_text

__all__ = ["to_manifest"]


def to_manifest(topology: Topology) -> dict[str, Any]:
    """The document of kind Topology; figures that are not known stay unsaid, numbers are spelled out."""
    return {
        "apiVersion": "carelane/v1",
        "kind": "Topology",
        "metadata": {"name": topology.name},
        "spec": {
            "nodes": [_node(node) for node in topology.nodes.values()],
            "links": [_link(link) for link in topology.links.values()],
            "endpoints": [_endpoint(endpoint) for endpoint in topology.endpoints.values()],
            "riskGroups": [_risk_group(group) for group in topology.risk_groups.values()],
        },
    }


def _stated(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in pairs if value is not None and value != []}


def _reliability(part: Node | Link | RiskGroup) -> list[tuple[str, Any]]:
    if part.repair is None:
        return [("availability", part.availability)]
    return [("mtbf", duration_text(part.repair.mtbf_s)), ("mttr", duration_text(part.repair.mttr_s))]


def _node(node: Node) -> dict[str, Any]:
    return _stated(
        [
            ("id", node.id),
            ("dpid", node.dpid),
            *_reliability(node),
            ("site", node.site),
            ("lat", node.lat),
            ("lon", node.lon),
            ("riskGroups", sorted(node.risk_groups)),
        ]
    )


def _link(link: Link) -> dict[str, Any]:
    return _stated(
        [
            ("id", link.id),
            ("a", link.a),
            ("b", link.b),
            ("aPort", link.a_port),
            ("bPort", link.b_port),
            ("capacity", None if link.capacity_bps is None else rate_text(link.capacity_bps)),
            ("delay", None if link.delay_s is None else duration_text(link.delay_s)),
            ("length", None if link.length_m is None else f"{link.length_m!r}m"),
            *_reliability(link),
            ("loss", link.loss),
            ("riskGroups", sorted(link.risk_groups)),
        ]
    )


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return _stated(
        [
            ("id", endpoint.id),
            ("node", endpoint.node),
            ("port", endpoint.port),
            ("address", None if endpoint.address is None else str(endpoint.address)),
            ("capacity", None if endpoint.capacity_bps is None else rate_text(endpoint.capacity_bps)),
            ("mac", endpoint.mac),
            ("tenant", endpoint.tenant),
        ]
    )


def _risk_group(group: RiskGroup) -> dict[str, Any]:
    return _stated([("id", group.id), *_reliability(group)])
