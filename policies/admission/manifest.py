"""Admission policies as YAML documents of kind Policy."""

from __future__ import annotations

from fnmatch import fnmatchcase
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from carelane.documents import Document, load_documents, read_bounded, validate
from carelane.errors import InputError
from carelane.intents import CATALOGUE
from carelane.policies.admission.model import AdmissionPolicy, Preemption, Quota
from carelane.policies.classes import CLASSES
from carelane.policies.shaping import SharePolicy
from carelane.topology.model import Topology
from carelane.units import parse_rate_bps, parse_ratio

__all__ = ["KIND", "parse_policy", "read_policy"]

KIND = "Policy"
MAX_ROWS = 100_000
MAX_TIERS = 1000


def _share(value: object) -> Fraction:
    share = Fraction(str(parse_ratio(value)))
    if not share:
        raise InputError("nothing could be reserved", expected="a share above 0%", remedy="drain links not to be used")
    return share


def _shares(value: object) -> object:
    """One share stands for all links."""
    return value if isinstance(value, dict) else {"default": value}


def _service(value: object) -> str:
    if value not in CATALOGUE:
        raise InputError(f"{str(value)[:40]!r} is no service", expected=f"one of {', '.join(CATALOGUE)}")
    return str(value)


def _by_service(value: object) -> object:
    """Keys that are services."""
    for name in value if isinstance(value, dict) else ():
        _service(name)
    return value


Share = Annotated[Fraction, BeforeValidator(_share)]
Rate = Annotated[int, BeforeValidator(parse_rate_bps)]
Services = Annotated[list[Annotated[str, BeforeValidator(_service)]], Field(min_length=1, max_length=1000)]

Kind = Literal["dedicated", "shared"]
Weight = Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class Shares(_Model):
    default: Share = Fraction(1)
    links: Annotated[dict[str, Share], Field(max_length=MAX_ROWS)] = {}


class TenantQuota(_Model):
    bandwidth: Rate | None = None
    slices: Annotated[int, Field(ge=0, strict=True)] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> TenantQuota:
        if self.bandwidth is None and self.slices is None:
            raise InputError("a quota without a limit", expected="bandwidth, slices or both")
        return self


class Preempting(_Model):
    by: Services | None = None
    of: Services | None = None
    minimumPriorityGap: Annotated[int, Field(ge=1, le=9, strict=True)] = 1


class Backups(_Model):
    default: Kind = "dedicated"
    services: Annotated[dict[str, Kind], BeforeValidator(_by_service), Field(max_length=MAX_ROWS)] = {}


def _backups(value: object) -> object:
    """One word stands for all services."""
    return value if isinstance(value, dict) else {"default": value}


class Weights(_Model):
    classes: dict[str, Weight] = {}
    tenants: Annotated[dict[str, Weight], Field(max_length=MAX_ROWS)] = {}
    sites: Annotated[dict[str, Weight], Field(max_length=MAX_ROWS)] = {}


class Spec(_Model):
    maxReservable: Annotated[Shares, BeforeValidator(_shares)] = Shares()
    quotas: Annotated[dict[str, TenantQuota], Field(max_length=MAX_ROWS)] = {}
    preemption: Preempting | None = None
    portWaits: Literal["counted", "stated"] = "stated"
    classQueues: Literal["counted", "stated"] = "stated"
    backups: Annotated[Backups, BeforeValidator(_backups)] = Backups()
    weights: Weights = Weights()


class Metadata(_Model):
    name: str


class Manifest(_Model):
    apiVersion: Literal["carelane/v1"]
    kind: Literal["Policy"]
    metadata: Metadata
    spec: Spec = Spec()


def read_policy(path: str | Path, topology: Topology) -> AdmissionPolicy:
    """The policy in a file, for `topology`. Raises InputError with file, line and field."""
    return parse_policy(read_bounded(Path(path), "policy"), topology, str(path))


def parse_policy(data: bytes | str, topology: Topology, file: str = "<text>") -> AdmissionPolicy:
    """The policy in YAML text. Raises InputError, also for links and sites that `topology` does not have."""
    documents = load_documents(data, file)
    if len(documents) != 1 or documents[0].kind != KIND:
        raise InputError("not an admission policy", file, expected=f"one document of kind {KIND}")
    spec = validate(documents[0], Manifest).spec
    _check_links(documents[0], spec, topology)
    _check_weights(documents[0], spec.weights, topology)
    asked = spec.preemption
    return AdmissionPolicy(
        name=str(documents[0].value["metadata"]["name"]),
        max_reservable=spec.maxReservable.default,
        links=MappingProxyType(spec.maxReservable.links),
        quotas=MappingProxyType({name: Quota(row.bandwidth, row.slices) for name, row in spec.quotas.items()}),
        preemption=None if asked is None else Preemption(_set(asked.by), _set(asked.of), asked.minimumPriorityGap),
        port_waits=spec.portWaits == "counted",
        class_queues=spec.classQueues == "counted",
        weights=_weights(spec.weights),
        shared_backups=spec.backups.default == "shared",
        shared_services=MappingProxyType({name: kind == "shared" for name, kind in spec.backups.services.items()}),
    )


def _weights(stated: Weights) -> SharePolicy:
    tiers = {name: weight for name, weight in stated.sites.items() if "*" in name}
    sites = {name: weight for name, weight in stated.sites.items() if name not in tiers}
    return SharePolicy(stated.classes, stated.tenants, sites, tiers)


def _check_links(document: Document, spec: Spec, topology: Topology) -> None:
    unknown = next((name for name in spec.maxReservable.links if name not in topology.links), None)
    if unknown is not None:
        place = ("spec", "maxReservable", "links", unknown)
        raise document.error(f"{unknown!r} is no link of {topology.name}", place, expected="the id of a link")


def _check_weights(document: Document, stated: Weights, topology: Topology) -> None:
    def known(name: str) -> bool:
        return any(fnmatchcase(end, name) for end in topology.endpoints) if "*" in name else name in topology.endpoints

    place = ("spec", "weights")
    strange = next((name for name in stated.classes if name not in CLASSES), None)
    if strange is not None:
        expected = f"one of {', '.join(CLASSES)}"
        raise document.error(f"{strange!r} is no traffic class", (*place, "classes", strange), expected=expected)
    tiers = sum("*" in name for name in stated.sites)
    if tiers > MAX_TIERS:
        raise document.error(f"{tiers} patterns", (*place, "sites"), expected=f"{MAX_TIERS} at most")
    unknown = next((name for name in stated.sites if not known(name)), None)
    if unknown is not None:
        expected = "the id of an endpoint, or a pattern such as 'town/*' that some match"
        raise document.error(
            f"{unknown!r} is no site of {topology.name}", (*place, "sites", unknown), expected=expected
        )


def _set(names: list[Any] | None) -> frozenset[str]:
    return frozenset(names or ())
