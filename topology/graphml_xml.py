"""The XML of GraphML: a streaming reader that keeps line numbers and opens no door.

Written on expat because networkx's reader knows no lines, and because a DOCTYPE (where entity bombs and external
entities live) can be refused the moment it begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from carelane.errors import InputError

__all__ = ["Element", "RawGraph", "read_graphml"]

MAX_DEPTH = 64
MAX_TEXT = 10_000
MAX_KEYS = 1_000
_REQUIRED: Mapping[str, tuple[str, ...]] = {"node": ("id",), "edge": ("source", "target"), "key": ("id",)}
_UNSUPPORTED = frozenset({"hyperedge"})


@dataclass(slots=True)
class Element:
    """A <node> or <edge>: its XML attributes, its <data> by attr.name, its line."""

    line: int
    attributes: dict[str, str]
    data: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class RawGraph:
    """What the file says, in its own words and order."""

    data: dict[str, str] = field(default_factory=dict)
    nodes: list[Element] = field(default_factory=list)
    edges: list[Element] = field(default_factory=list)


@dataclass(slots=True)
class _Key:
    name: str
    scope: str
    default: str | None = None


def read_graphml(data: bytes, file: str) -> RawGraph:
    """Nodes, edges and their data. Raises InputError with file and line."""
    reader = _Reader(file)
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise InputError(f"not XML: {expat.ErrorString(error.code)}", file, error.lineno, expected="GraphML") from error
    except (ValueError, LookupError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"not XML: {error}", file, expected="GraphML in UTF-8") from error
    if not reader.seen_graph:
        raise InputError("no <graph> in this file", file, expected="GraphML: <graphml> with one <graph>")
    return reader.graph


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.graph = RawGraph()
        self.seen_graph = False
        self.keys: dict[str, _Key] = {}
        self.stack: list[str] = []
        self.holder: dict[str, str] | None = None
        self.key: _Key | None = None
        self.text: list[str] | None = None
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        self.parser = parser

    def _fault(self, message: str, expected: str | None = None, remedy: str | None = None) -> InputError:
        return InputError(message, self.file, self.parser.CurrentLineNumber, None, expected, remedy)

    def _doctype(self, *_: object) -> None:
        raise self._fault("a DOCTYPE is not accepted", remedy="remove it; GraphML needs no entities")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(" ")[2]
        if not self.stack and tag != "graphml":
            raise self._fault(f"the file is <{tag[:40]}>, not GraphML", expected="<graphml>")
        if len(self.stack) >= MAX_DEPTH:
            raise self._fault(f"nested deeper than {MAX_DEPTH} levels")
        if tag in _UNSUPPORTED:
            raise self._fault(f"<{tag}> is not supported", expected="edges with one source and one target")
        missing = [wanted for wanted in _REQUIRED.get(tag, ()) if not attributes.get(wanted)]
        if missing:
            raise self._fault(f"<{tag}> without {missing[0]}", expected=f"<{tag} {missing[0]}=...>")
        self.stack.append(tag)
        match tag:
            case "graph":
                self._start_graph(attributes)
            case "key":
                if len(self.keys) >= MAX_KEYS:
                    raise self._fault(f"more than {MAX_KEYS} keys")
                name = attributes.get("attr.name", attributes["id"])
                self.key = self.keys[attributes["id"]] = _Key(name, attributes.get("for", "all"))
            case "node" | "edge":
                self._start_element(tag, attributes)
            case "data" | "default":
                self.text = []
                if tag == "data":
                    self.key = self.keys.get(attributes.get("key", ""))
            case _:
                pass

    def _start_graph(self, attributes: dict[str, str]) -> None:
        if self.seen_graph:
            raise self._fault("a second or nested <graph>", expected="one graph without groups")
        if attributes.get("edgedefault") == "directed":
            raise self._fault("the graph is directed", expected='edgedefault="undirected": links are duplex')
        self.seen_graph = True
        self.holder = self.graph.data

    def _start_element(self, tag: str, attributes: dict[str, str]) -> None:
        if attributes.get("directed") == "true":
            raise self._fault("the edge is directed", expected="undirected edges: links are duplex")
        defaults = {k.name: k.default for k in self.keys.values() if k.default is not None and k.scope in (tag, "all")}
        element = Element(self.parser.CurrentLineNumber, attributes, defaults)
        (self.graph.nodes if tag == "node" else self.graph.edges).append(element)
        self.holder = element.data

    def _characters(self, text: str) -> None:
        if self.text is not None:
            self.text.append(text)
            if sum(map(len, self.text)) > MAX_TEXT:
                raise self._fault(f"more than {MAX_TEXT} characters in one value")

    def _end(self, _name: str) -> None:
        tag = self.stack.pop()
        if tag in ("data", "default") and self.text is not None:
            value = "".join(self.text)
            if tag == "default" and self.key is not None:
                self.key.default = value
            elif self.key is not None and self.holder is not None:
                self.holder[self.key.name] = value
            self.text = None
        elif tag in ("node", "edge"):
            self.holder = self.graph.data
