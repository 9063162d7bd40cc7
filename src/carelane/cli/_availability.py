"""`carelane availability`: the exact availability of a service over given paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

from carelane.cli._exit import Exit, warn
from carelane.cli._output import Format, emit, emit_rows, emit_text
from carelane.errors import InputError
from carelane.topology import Topology
from carelane.topology.reliability import NodePath, any_path_availability, serving_links

__all__ = ["run_availability"]

DIGITS = 15
FIELD = "--paths"


def run_availability(topology: Topology, texts: Sequence[str], *, output: Format) -> Exit:
    """Print the availability of all paths together and of each alone. Raises InputError."""
    if not texts:
        raise InputError("no paths", field=FIELD, expected="--paths a,b,c, once for each path")
    paths = [_parsed(topology, text) for text in texts]
    if len({frozenset((path.nodes[0], path.nodes[-1])) for path in paths}) > 1:
        warn("the paths do not join the same two nodes")
    try:
        document = {
            "topology": topology.name,
            "availability": _down(any_path_availability(topology, paths)),
            "paths": [
                {
                    "nodes": list(path.nodes),
                    "links": [list(links) for links in serving_links(topology, path)],
                    "availability": _down(any_path_availability(topology, [path])),
                }
                for path in paths
            ],
        }
    except InputError as error:
        error.field = error.field or FIELD
        raise
    emit(document, output, lambda: _print(document))
    return Exit.DONE


def _parsed(topology: Topology, text: str) -> NodePath:
    """``a,b@l2,c``: nodes in order, with the link that leaves a node where it matters. Raises InputError."""
    nodes: list[str] = []
    links: list[str | None] = []
    for part in text.split(","):
        node, link = _step(topology, part.strip(), text)
        nodes.append(node)
        links.append(link)
    repeated = next((node for node in nodes if nodes.count(node) > 1), None)
    if repeated is not None:
        raise InputError(f"path {text[:80]} visits {repeated} twice", field=FIELD, expected="each node once")
    if links.pop() is not None:
        raise InputError(f"path {text[:80]} ends with a link", field=FIELD, expected="a node at its end")
    return NodePath(tuple(nodes), tuple(links))


def _step(topology: Topology, part: str, text: str) -> tuple[str, str | None]:
    if part in topology.nodes:
        return part, None
    node, found, link = part.rpartition("@")
    if found and node in topology.nodes:
        if link not in topology.links:
            raise InputError(f"unknown link {link[:40]!r} in path {text[:80]}", field=FIELD, expected="a link's id")
        return node, link
    if part in topology.endpoints:
        at = topology.endpoints[part].node
        raise InputError(f"{part} is an endpoint, not a node", field=FIELD, remedy=f"write {at}, where it attaches")
    raise InputError(
        f"unknown node {part[:40]!r} in path {text[:80]}", field=FIELD, expected="ids of nodes, with commas"
    )


def _down(exact: Fraction) -> float:
    """Fifteen digits, rounded down: never shown better than it is."""
    return float(Decimal(floor(exact * 10**DIGITS)).scaleb(-DIGITS))


def _print(document: Mapping[str, Any]) -> None:
    emit_text(f"availability {document['availability']:.15g}")
    rows = (
        (
            ",".join(row["nodes"]),
            ", ".join(" or ".join(links) for links in row["links"]) or "-",
            f"{row['availability']:.15g}",
        )
        for row in document["paths"]
    )
    emit_text("")
    emit_rows(("PATH", "LINKS", "ALONE"), rows)
