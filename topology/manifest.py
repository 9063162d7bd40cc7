"""The Topology manifest (`kind: Topology`): its schema, and the way from a document to the snapshot.

Figures: `delay` is one way; `length` stands for it at 5 us/km. Where both are stated the delay is used and must not be
shorter than light needs for the length. `availability` and `mtbf` with `mttr` (MTBF / (MTBF + MTTR)) exclude each
other. Coordinates of nodes place them on a map; they give no lengths here, since a manifest can state them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from carelane.documents import Document, validate
from carelane.errors import InputError
from carelane.topology.build import build
from carelane.topology.drafts import Defaults, EndpointDraft, LinkDraft, NodeDraft, RiskGroupDraft, Section
from carelane.topology.fields import (
    Address,
    Availability,
    Capacity,
    Delay,
    Dpid,
    Length,
    Loss,
    Mac,
    Name,
    Period,
    Port,
)
from carelane.topology.model import Repair, Topology

__all__ = ["KIND", "OTHER_KINDS", "TopologyManifest", "from_documents"]

KIND = "Topology"
OTHER_KINDS = frozenset({"ServiceIntent", "CalculusNetwork"})


def _nothing_is_empty(value: object) -> object:
    """``endpoints:`` with nothing under it is an empty list."""
    return [] if value is None else value


Item = TypeVar("Item")
Items = Annotated[list[Item], BeforeValidator(_nothing_is_empty)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, frozen=True)


class _Repairable(_Part):
    availability: Availability | None = None
    mtbf: Period | None = None
    mttr: Period | None = None

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> Self:
        if (self.mtbf is None) != (self.mttr is None):
            raise InputError("mtbf and mttr go together", expected="both, such as mtbf: 100000h and mttr: 4h")
        if self.mtbf is not None and self.availability is not None:
            raise InputError("availability is stated twice", remedy="keep availability, or mtbf with mttr")
        return self

    def stated_availability(self) -> float | None:
        if self.mtbf is not None and self.mttr is not None:
            return self.mtbf / (self.mtbf + self.mttr)
        return self.availability

    def stated_repair(self) -> Repair | None:
        return Repair(self.mtbf, self.mttr) if self.mtbf is not None and self.mttr is not None else None


class NodeSpec(_Repairable):
    id: Name
    kind: Literal["switch"] = "switch"
    site: str | None = Field(default=None, max_length=256)
    lat: float | None = Field(default=None, ge=-90, le=90)
    lon: float | None = Field(default=None, ge=-180, le=180)
    dpid: Dpid | None = None
    risk_groups: Items[Name] = []

    @model_validator(mode="after")
    def _both_coordinates(self) -> Self:
        if (self.lat is None) != (self.lon is None):
            raise InputError("lat and lon go together", expected="both, in degrees, or neither")
        return self


class LinkSpec(_Repairable):
    id: Name
    a: Name
    b: Name
    a_port: Port | None = None
    b_port: Port | None = None
    capacity: Capacity | None = None
    delay: Delay | None = None
    length: Length | None = None
    loss: Loss | None = None
    risk_groups: Items[Name] = []


class EndpointSpec(_Part):
    id: Name
    node: Name
    port: Port | None = None
    address: Address | None = None
    capacity: Capacity | None = None
    mac: Mac | None = None
    tenant: Name | None = None


class RiskGroupSpec(_Repairable):
    id: Name


class Spec(_Part):
    nodes: list[NodeSpec] = Field(min_length=1)
    links: Items[LinkSpec] = []
    endpoints: Items[EndpointSpec] = []
    risk_groups: Items[RiskGroupSpec] = []


class Metadata(_Part):
    name: Name


class TopologyManifest(_Part):
    """One document of kind Topology."""

    api_version: Literal["carelane/v1"]
    kind: Literal["Topology"]
    metadata: Metadata
    spec: Spec


def from_documents(documents: Sequence[Document], file: str, defaults: Defaults) -> Topology:
    """The one Topology among the documents of a file; intents may stand beside it. Raises InputError."""
    found: list[Document] = []
    for document in documents:
        if document.kind == KIND:
            found.append(document)
        elif document.kind not in OTHER_KINDS:
            raise document.error(f"{document.kind[:40]!r} is not a known kind", ("kind",), expected=f"kind: {KIND}")
    if not found:
        raise InputError("no topology in this file", file, expected=f"a document with kind: {KIND}")
    if len(found) > 1:
        raise found[1].error("a second topology", ("kind",), remedy="keep one topology in a file")
    return _from_document(found[0], defaults)


def _from_document(document: Document, defaults: Defaults) -> Topology:
    manifest = validate(document, TopologyManifest)
    spec = manifest.spec

    def fault(
        message: str,
        section: Section,
        index: int,
        field: str = "id",
        *,
        expected: str | None = None,
        remedy: str | None = None,
    ) -> InputError:
        return document.error(message, ("spec", section, index, field), expected=expected, remedy=remedy)

    return build(
        manifest.metadata.name,
        [
            NodeDraft(
                n.id, n.dpid, n.stated_availability(), n.site, n.lat, n.lon, tuple(n.risk_groups), n.stated_repair()
            )
            for n in spec.nodes
        ],
        [
            LinkDraft(
                x.id, x.a, x.b, x.a_port, x.b_port, x.capacity, x.delay, x.length, x.stated_availability(), x.loss,
                tuple(x.risk_groups), x.stated_repair(),
            )
            for x in spec.links
        ],
        [EndpointDraft(e.id, e.node, e.port, e.address, e.capacity, e.mac, e.tenant) for e in spec.endpoints],
        [RiskGroupDraft(g.id, g.stated_availability(), g.stated_repair()) for g in spec.risk_groups],
        fault,
        defaults,
        _notes(spec),
    )  # fmt: skip


def _notes(spec: Spec) -> list[str]:
    silent = [e.id for e in spec.endpoints if e.address is None]
    more = f" and {len(silent) - 10} more" if len(silent) > 10 else ""
    return (
        [f"endpoints without an address can be planned for, not programmed: {', '.join(silent[:10])}{more}"]
        if silent
        else []
    )
