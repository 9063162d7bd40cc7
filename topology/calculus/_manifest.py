"""The CalculusNetwork manifest: servers and flows as plain numbers whose units fit each other.

`rate` in data per time, `latency` in time, `burst` in data: with bits and microseconds a rate is in bits per
microsecond, and bounds come out in microseconds. A number is taken as the decimal that was written. `priorities` (the
first is served first) or `quanta` (data) make a server one with a queue for each `class`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from math import isfinite
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

from carelane.documents import Document, load_documents, validate
from carelane.errors import InputError
from carelane.topology.calculus._network import Flow, Network, Server, check_flow, check_server
from carelane.topology.names import check_name

__all__ = ["KIND", "NetworkManifest", "parse_network"]

KIND = "CalculusNetwork"
OTHER_KINDS = frozenset({"Topology", "ServiceIntent"})
MAX_CLASSES = 100
LARGEST = 10**24
"""Beyond this, and below its inverse, a figure is a slip of the pen."""


def _number(value: object) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | float):
        shown = "nothing" if value is None else repr(str(value)[:40])
        raise InputError(f"{shown} is not a plain number", expected="a number without unit, such as 20 or 0.5")
    exact = Fraction(repr(value)) if isfinite(value) else None
    if exact is None or (exact and not Fraction(1, LARGEST) <= abs(exact) <= LARGEST):
        raise InputError(f"{value!r} is out of all proportion", expected="a number from 1e-24 to 1e24")
    return exact


def _positive(value: object) -> Fraction:
    exact = _number(value)
    if exact <= 0:
        raise InputError(f"{value} is not more than 0", expected="a number above 0")
    return exact


def _not_negative(value: object) -> Fraction:
    exact = _number(value)
    if exact < 0:
        raise InputError(f"{value} is negative", expected="0 or more")
    return exact


Name = Annotated[str, BeforeValidator(check_name)]
Rate = Annotated[Fraction, PlainValidator(_positive)]
Amount = Annotated[Fraction, PlainValidator(_not_negative)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSpec(_Part):
    id: Name
    rate: Rate
    latency: Amount
    peak: Rate | None = None
    priorities: list[Name] = Field(default=[], max_length=MAX_CLASSES)
    quanta: dict[Name, Rate] = Field(default={}, max_length=MAX_CLASSES)


class FlowSpec(_Part):
    id: Name
    path: list[Name]
    rate: Rate
    burst: Amount
    class_: Name | None = Field(default=None, alias="class")
    packet: Amount = Fraction(0)


class Spec(_Part):
    servers: list[ServerSpec] = Field(min_length=1)
    flows: list[FlowSpec] = Field(min_length=1)


class Metadata(_Part):
    name: Name


class NetworkManifest(BaseModel):
    """One document of kind CalculusNetwork."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    api_version: Literal["carelane/v1"] = Field(alias="apiVersion")
    kind: Literal["CalculusNetwork"]
    metadata: Metadata | None = None
    spec: Spec


def parse_network(data: bytes | str, file: str = "<text>") -> Network:
    """The one CalculusNetwork in YAML text; topologies and intents may stand beside it. Raises InputError."""
    return _from_documents(load_documents(data, file), file)


def _from_documents(documents: Sequence[Document], file: str) -> Network:
    found: list[Document] = []
    for document in documents:
        if document.kind == KIND:
            found.append(document)
        elif document.kind not in OTHER_KINDS:
            raise document.error(f"{document.kind[:40]!r} is not a known kind", ("kind",), expected=f"kind: {KIND}")
    if not found:
        raise InputError("no calculus network in this file", file, expected=f"a document with kind: {KIND}")
    if len(found) > 1:
        raise found[1].error("a second calculus network", ("kind",), remedy="keep one in a file")
    return _network(found[0])


def _network(document: Document) -> Network:
    spec = validate(document, NetworkManifest).spec
    servers: dict[str, Server] = {}
    for index, item in enumerate(spec.servers):
        quanta = MappingProxyType(item.quanta)
        server = Server(item.id, item.rate, item.latency, item.peak, tuple(item.priorities), quanta)
        with _placed(document, "servers", index):
            check_server(server, servers)
        servers[server.id] = server
    flows: dict[str, Flow] = {}
    for index, entry in enumerate(spec.flows):
        flow = Flow(
            entry.id, tuple(entry.path), entry.rate, entry.burst, traffic_class=entry.class_, packet=entry.packet
        )
        with _placed(document, "flows", index):
            check_flow(flow, servers, flows)
        flows[flow.id] = flow
    return Network.of(servers.values(), flows.values())


@contextmanager
def _placed(document: Document, section: str, index: int) -> Iterator[None]:
    """Faults of one item, at its line."""
    try:
        yield
    except InputError as error:
        place = ("spec", section, index, error.field or "id")
        raise document.error(error.message, place, expected=error.expected, remedy=error.remedy) from error
