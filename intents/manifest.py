"""Manifests: YAML documents of kind ServiceIntent to intents and back, and their JSON Schema.

A file is taken whole or not at all: one faulty document among many and nothing is returned. Names are unique in a
file whatever the tenant, because the name alone is what commands, cookies and metrics go by.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from carelane.documents import Document, load_documents, read_bounded, validate
from carelane.errors import InputError
from carelane.intents import _quantities as quantities
from carelane.intents._schema import KIND, Manifest, Objectives, SchemaOfText
from carelane.intents._shape import faults
from carelane.intents.model import OFF, Schedule, ServiceIntent, StatedObjectives
from carelane.units import duration_text, rate_text, size_text

__all__ = [
    "from_manifest",
    "json_schema",
    "load_intents",
    "read_intents",
    "schedule_manifest",
    "to_manifest",
    "to_yaml",
]

API_VERSION = "carelane/v1"


def read_intents(path: str | Path) -> list[ServiceIntent]:
    """All intents of a YAML file, in file order. Raises InputError; then nothing of the file is taken."""
    return load_intents(read_bounded(Path(path), "intents"), str(path))


def load_intents(
    data: bytes | str, file: str = "<text>", *, beside: Collection[str] = frozenset()
) -> list[ServiceIntent]:
    """All intents of YAML text, in order; documents of a kind in `beside` are passed over, others are faults.

    Raises InputError with file, line and field; then nothing is taken.
    """
    intents: list[ServiceIntent] = []
    lines: dict[str, int] = {}
    for document in load_documents(data, file):
        if document.kind in beside:
            continue
        intent = _intent(document)
        place = ("metadata", "name")
        if intent.name in lines:
            raise document.error(
                f"{intent.name!r} is already the name of the intent at line {lines[intent.name]}",
                place,
                expected="a name of its own for every intent in the file",
                remedy="rename one of them",
            )
        lines[intent.name] = document.line_of(place)
        intents.append(intent)
    if not intents:
        raise InputError("holds no intents", file, expected=f"at least one document of kind {KIND}")
    return intents


def from_manifest(manifest: Mapping[str, Any], source: str | None = None) -> ServiceIntent:
    """The intent of one manifest that is a mapping already (JSON from the API or the store).

    `source` says where it came from. Raises InputError with the field; a mapping has no lines.
    """
    if not isinstance(manifest, Mapping):
        raise InputError("a manifest must be a mapping", source, expected="apiVersion, kind, metadata, spec")
    try:
        return _intent(Document(source or "", 1, manifest, {}))
    except InputError as error:
        place = InputError(error.message, source, None, error.field, error.expected, error.remedy)
        raise place from error


def _intent(document: Document) -> ServiceIntent:
    if document.kind != KIND:
        found = f"kind {document.kind[:40]!r}" if document.kind else "a document without kind"
        raise document.error(
            f"{found} among intents", ("kind",), expected=f"kind: {KIND}", remedy="keep other kinds in other files"
        )
    manifest = validate(document, Manifest)
    spec = manifest.spec
    schedule = spec.schedule
    intent = ServiceIntent(
        name=manifest.metadata.name,
        tenant=manifest.metadata.tenant,
        service=spec.service,
        source=tuple(spec.source),
        to=tuple(spec.to),
        objectives=_stated(spec.objectives),
        connectivity=spec.connectivity,
        direction=spec.direction,
        burst_bytes=spec.burst,
        round_trip=spec.round_trip,
        protection=spec.protection,
        priority=spec.priority,
        schedule=Schedule(schedule.start, schedule.end, schedule.deadline, schedule.volume) if schedule else None,
        speakers=spec.speakers,
    )
    for path, fault in faults(intent):
        raise document.error(fault.message, ("spec", *path), expected=fault.expected, remedy=fault.remedy)
    return intent


def _stated(objectives: Objectives) -> StatedObjectives:
    bandwidth = objectives.bandwidth
    return StatedObjectives(
        delay_s=objectives.delay,
        jitter_s=objectives.jitter,
        loss=objectives.loss,
        availability=objectives.availability,
        forward_bps=bandwidth.forward if bandwidth else None,
        reverse_bps=bandwidth.reverse if bandwidth else None,
    )


def to_manifest(intent: ServiceIntent) -> dict[str, Any]:
    """The manifest of an intent, holding what was stated and nothing else; `from_manifest` gives the intent back."""
    spec: dict[str, Any] = {"service": intent.service, "from": list(intent.source), "to": list(intent.to)}
    objectives = _objectives_out(intent.objectives)
    optional: dict[str, Any] = {
        "objectives": objectives or None,
        "connectivity": intent.connectivity,
        "direction": intent.direction if intent.direction != "both" else None,
        "burst": size_text(intent.burst_bytes) if intent.burst_bytes is not None else None,
        "roundTrip": True if intent.round_trip else None,
        "protection": intent.protection if intent.protection != "auto" else None,
        "priority": intent.priority,
        "schedule": schedule_manifest(intent.schedule) if intent.schedule else None,
        "speakers": intent.speakers,
    }
    spec.update({key: value for key, value in optional.items() if value is not None})
    metadata = {"name": intent.name, "tenant": intent.tenant}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def _objectives_out(objectives: StatedObjectives) -> dict[str, Any]:
    rows = (
        ("delay", objectives.delay_s, duration_text),
        ("availability", objectives.availability, quantities.percent_text),
        ("jitter", objectives.jitter_s, duration_text),
        ("loss", objectives.loss, quantities.percent_text),
    )
    out: dict[str, Any] = {
        key: OFF if value == OFF else text(float(value)) for key, value, text in rows if value is not None
    }
    rates = {"forward": objectives.forward_bps, "reverse": objectives.reverse_bps}
    written = {side: rate_text(rate) for side, rate in rates.items() if rate is not None}
    if len(written) == 2 and objectives.forward_bps == objectives.reverse_bps:
        out["bandwidth"] = written["forward"]
    elif written:
        out["bandwidth"] = written
    return out


def schedule_manifest(schedule: Schedule) -> dict[str, str]:
    """A schedule as `spec.schedule` states it."""
    volume = size_text(schedule.volume_bytes) if schedule.volume_bytes is not None else None
    fields = {"start": schedule.start, "end": schedule.end, "deadline": schedule.deadline, "volume": volume}
    return {key: value for key, value in fields.items() if value is not None}


def to_yaml(intents: Iterable[ServiceIntent]) -> str:
    """YAML text of several manifests; `load_intents` gives the intents back."""
    text: str = yaml.dump_all(map(to_manifest, intents), Dumper=_Dumper, allow_unicode=True, sort_keys=False)
    return text


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.2 takes for a number, such as an endpoint named 1e5; PyYAML knows only YAML 1.1's."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        try:
            float(data)
        except ValueError:
            return super().represent_str(data)
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"')


_Dumper.add_representer(str, _Dumper.represent_str)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a ServiceIntent manifest, for editors and other languages.

    It accepts every manifest `load_intents` accepts; what needs arithmetic or the catalogue only the loader knows.
    """
    schema = Manifest.model_json_schema(by_alias=True, schema_generator=SchemaOfText)
    return {"$schema": SchemaOfText.schema_dialect, **schema, "title": KIND}
