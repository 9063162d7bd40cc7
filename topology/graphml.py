"""GraphML as the Internet Topology Zoo writes it (Knight et al., IEEE JSAC 29(9), 2011).

Every node is a switch with one endpoint of the same id; the id is the file's own (characters that an identifier cannot
carry become ``_``) and the label is kept as the node's site. A link's id is the edge's, when the file gives it one of
its own, else ``source--target``; parallel edges get ``~2``, ``~3``. Coordinates give lengths, LinkSpeedRaw gives
capacities, and nothing else is guessed: what is missing stays unknown, or comes from explicit defaults.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

from carelane.errors import InputError
from carelane.topology.build import build
from carelane.topology.drafts import Defaults, EndpointDraft, LinkDraft, NodeDraft, Section
from carelane.topology.geo import great_circle_m, route_length_m
from carelane.topology.graphml_xml import Element, RawGraph, read_graphml
from carelane.topology.model import Topology
from carelane.topology.names import usable_name

__all__ = ["from_graphml"]

MAX_SPEED_BPS = 1e15


def from_graphml(data: bytes, file: str, defaults: Defaults) -> Topology:
    """The snapshot of a GraphML file. Raises InputError with file and line."""
    raw = read_graphml(data, file)
    if not raw.nodes:
        raise InputError("no nodes in this graph", file, expected="at least one <node>")
    loops = [edge for edge in raw.edges if edge.attributes["source"] == edge.attributes["target"]]
    edges = [edge for edge in raw.edges if edge.attributes["source"] != edge.attributes["target"]]
    ids = _node_ids(raw.nodes, file)
    places = {node.attributes["id"]: _coordinates(node, file) for node in raw.nodes}
    nodes = [
        NodeDraft(
            ids[key],
            site=node.data.get("label", "").strip()[:256] or None,
            lat=place and place[0],
            lon=place and place[1],
        )
        for node in raw.nodes
        for key in [node.attributes["id"]]
        for place in [places[key]]
    ]
    lines: Mapping[Section, Sequence[Element]] = {"nodes": raw.nodes, "links": edges, "endpoints": raw.nodes}

    def fault(
        message: str,
        section: Section,
        index: int,
        field: str = "id",
        *,
        expected: str | None = None,
        remedy: str | None = None,
    ) -> InputError:
        return InputError(message, file, lines[section][index].line, field, expected, remedy)

    return build(
        _name(raw, file),
        nodes,
        _links(edges, ids, places, file),
        [EndpointDraft(node.id, node.id) for node in nodes],
        (),
        fault,
        defaults,
        [f"line {edge.line}: an edge from {edge.attributes['source']} to itself is left out" for edge in loops],
    )


def _name(raw: RawGraph, file: str) -> str:
    path = PurePath(file)
    stem = path.stem if path.suffix.lower() in (".graphml", ".xml") else ""
    return usable_name(stem or raw.data.get("Network", "").strip() or "graphml")


def _node_ids(nodes: Sequence[Element], file: str) -> dict[str, str]:
    """Identifier of each file's id; where two become the same, later ones get ``_2``, ``_3``."""
    ids: dict[str, str] = {}
    names = _Distinct("_", (node.attributes["id"] for node in nodes))
    for node in nodes:
        key = node.attributes["id"]
        if key in ids:
            raise InputError(f"node {key!r} appears twice", file, node.line, "id", remedy="give each its own id")
        name = usable_name(key)
        ids[key] = name if name == key else names.take(name)
    return ids


class _Distinct:
    """Hands out names, numbering those that are taken."""

    def __init__(self, mark: str, taken: Iterable[str]) -> None:
        self.mark = mark
        self.taken = set(taken)
        self.last: dict[str, int] = {}

    def take(self, name: str) -> str:
        candidate = name
        while candidate in self.taken:
            self.last[name] = self.last.get(name, 1) + 1
            candidate = f"{name}{self.mark}{self.last[name]}"
        self.taken.add(candidate)
        return candidate


Coordinates = tuple[float, float]


def _coordinates(node: Element, file: str) -> Coordinates | None:
    if "Latitude" not in node.data or "Longitude" not in node.data:
        return None
    lat, lon = (_number(node, key, file) for key in ("Latitude", "Longitude"))
    if abs(lat) > 90 or abs(lon) > 180:
        raise InputError(
            f"{lat}, {lon} is no place on Earth", file, node.line, "Latitude", "degrees: -90..90 and -180..180"
        )
    return lat, lon


def _number(element: Element, key: str, file: str) -> float:
    text = element.data[key].strip()
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{text[:40]!r} is not a number", file, element.line, key, "a number")
    return number


def _links(
    edges: Sequence[Element], ids: Mapping[str, str], places: Mapping[str, Coordinates | None], file: str
) -> list[LinkDraft]:
    own = Counter(edge.attributes.get("id") for edge in edges)
    names = _Distinct("~", ids.values())
    links = []
    for edge in edges:
        source, target = edge.attributes["source"], edge.attributes["target"]
        # An unknown end keeps the file's word for it, so that `build` can name it in its error.
        a, b = ids.get(source, source), ids.get(target, target)
        key = edge.attributes.get("id")
        name = usable_name(key) if key and own[key] == 1 else f"{a}--{b}"
        here, there = places.get(source), places.get(target)
        length_m = route_length_m(great_circle_m(*here, *there)) if here and there else None
        links.append(LinkDraft(names.take(name), a, b, capacity_bps=_capacity(edge, file), length_m=length_m))
    return links


def _capacity(edge: Element, file: str) -> int | None:
    if "LinkSpeedRaw" not in edge.data:
        return None
    speed_bps = _number(edge, "LinkSpeedRaw", file)
    if not 1 <= speed_bps <= MAX_SPEED_BPS:
        raise InputError(
            f"a capacity of {speed_bps:g} bit/s",
            file,
            edge.line,
            "LinkSpeedRaw",
            "bits per second, above zero",
            "correct it, or remove it and give --default-capacity",
        )
    return math.floor(speed_bps)
