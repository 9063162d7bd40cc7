"""Access policies as YAML documents of kind AccessPolicy."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from carelane.documents import load_documents, read_bounded, validate
from carelane.errors import InputError
from carelane.policies.access.model import DAYS, AccessPolicy, AccessRule, Window
from carelane.policies.classes import CLASSES
from carelane.units import parse_rate_bps

__all__ = ["KIND", "parse_policy", "read_policy"]

KIND = "AccessPolicy"
MAX_RULES = 10_000


def _clock(value: object) -> time:
    try:
        return time.fromisoformat(str(value))
    except ValueError as error:
        raise InputError(f"{str(value)[:20]!r} is not a time of day", expected="such as 08:00, in quotes") from error


def _zone(value: object) -> ZoneInfo:
    try:
        return ZoneInfo(str(value))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(f"{str(value)[:40]!r} is not a time zone", expected="such as Asia/Shanghai") from error


Clock = Annotated[time, BeforeValidator(_clock)]
Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
Rate = Annotated[int, BeforeValidator(parse_rate_bps)]
Pattern = Annotated[str, Field(min_length=1, max_length=200)]
Patterns = Annotated[list[Pattern], Field(min_length=1, max_length=1000)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class When(_Model):
    from_: Annotated[Clock, Field(alias="from")]
    to: Clock
    days: Annotated[list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]], Field(min_length=1)] | None = None
    zone: Zone = ZoneInfo("UTC")


class Rule(_Model):
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
    effect: Literal["allow", "deny"] = "allow"
    tenants: Patterns | None = None
    devices: Patterns | None = None
    ports: Patterns | None = None
    sites: Patterns | None = None
    to: Patterns | None = None
    toSites: Patterns | None = None
    services: Patterns | None = None
    classes: Patterns | None = None
    maxRate: Rate | None = None
    when: When | None = None

    @model_validator(mode="after")
    def _sound(self) -> Rule:
        unknown = [name for name in self.classes or () if name not in CLASSES]
        if unknown:
            raise InputError(f"{unknown[0]!r} is not a traffic class", expected=", ".join(CLASSES))
        if self.effect == "deny" and self.maxRate is not None:
            raise InputError("a rule that denies has no rate", remedy="allow up to a rate, and deny the rest after it")
        return self


class Spec(_Model):
    rules: Annotated[list[Rule], Field(max_length=MAX_RULES)] = []


class Metadata(_Model):
    name: str


class Manifest(_Model):
    apiVersion: Literal["carelane/v1"]
    kind: Literal["AccessPolicy"]
    metadata: Metadata
    spec: Spec = Spec()


def read_policy(path: str | Path) -> AccessPolicy:
    """The policy in a file. Raises InputError with file, line and field."""
    return parse_policy(read_bounded(Path(path), "access policy"), str(path))


def parse_policy(data: bytes | str, file: str = "<text>") -> AccessPolicy:
    """The policy in YAML text. Raises InputError."""
    documents = load_documents(data, file)
    if len(documents) != 1 or documents[0].kind != KIND:
        raise InputError("not an access policy", file, expected=f"one document of kind {KIND}")
    manifest = validate(documents[0], Manifest)
    names = [rule.name for rule in manifest.spec.rules]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        place = ("spec", "rules", len(names) - 1 - names[::-1].index(twice), "name")
        raise documents[0].error(f"{twice!r} is the name of two rules", place, remedy="rename one: violations name it")
    return AccessPolicy(manifest.metadata.name, tuple(map(_rule, manifest.spec.rules)))


def _rule(rule: Rule) -> AccessRule:
    def of(values: list[Any] | None) -> tuple[str, ...]:
        return tuple(values or ())

    return AccessRule(
        name=rule.name,
        effect=rule.effect,
        tenants=of(rule.tenants),
        devices=of(rule.devices),
        ports=of(rule.ports),
        sites=of(rule.sites),
        to=of(rule.to),
        to_sites=of(rule.toSites),
        services=of(rule.services),
        classes=of(rule.classes),
        max_rate_bps=rule.maxRate,
        when=_window(rule.when) if rule.when is not None else None,
    )


def _window(when: When) -> Window:
    days = frozenset(DAYS.index(day) for day in when.days or DAYS)
    return Window(when.from_, when.to, days, when.zone)
