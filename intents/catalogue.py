"""The service catalogue: what each service needs when the intent does not say, with the source of each figure.

The data is `catalogue.yaml` beside this module. It is read once, checked, and never changed afterwards.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from carelane.documents import Document, load_documents, read_bounded, validate
from carelane.errors import InputError
from carelane.intents import _quantities as quantities
from carelane.intents.model import CatalogueService, Sourced

__all__ = ["CATALOGUE", "find_service", "load_catalogue"]

_FILE = Path(__file__).with_name("catalogue.yaml")
_KEYS: Mapping[str, tuple[str, Callable[[object], float | int]]] = MappingProxyType(
    {
        "delay": ("delay_s", quantities.delay_s),
        "jitter": ("jitter_s", quantities.jitter_s),
        "loss": ("loss", quantities.loss),
        "availability": ("availability", quantities.availability),
        "bandwidth": ("bandwidth_bps", quantities.bandwidth_bps),
        "burst": ("burst_bytes", quantities.burst_bytes),
    }
)
_Key = Literal["delay", "jitter", "loss", "availability", "bandwidth", "burst"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Default(_Model):
    value: str
    source: str = Field(min_length=3)


class _Service(_Model):
    name: str
    title: str
    title_zh: str = Field(alias="titleZh")
    aliases: list[str] = Field(default_factory=list)
    traffic_class: str = Field(alias="trafficClass")
    priority: int
    defaults: dict[_Key, _Default] = Field(default_factory=dict)
    not_found: dict[_Key, str] = Field(default_factory=dict, alias="notFound")
    reuse: list[str] = Field(default_factory=list)
    note: str = ""


class _Spec(_Model):
    services: list[_Service]


class _Catalogue(_Model):
    api_version: Literal["carelane/v1"] = Field(alias="apiVersion")
    kind: Literal["ServiceCatalogue"]
    spec: _Spec


def load_catalogue(data: bytes | str, file: str = "<text>") -> Mapping[str, CatalogueService]:
    """A catalogue from YAML text, in file order. Raises InputError with file, line and field."""
    documents = load_documents(data, file)
    if len(documents) != 1:
        raise InputError("a catalogue is one document", file, expected="one document of kind ServiceCatalogue")
    services: dict[str, CatalogueService] = {}
    names: dict[str, str] = {}
    for index, row in enumerate(validate(documents[0], _Catalogue).spec.services):
        try:
            service = _reused(row, services) if row.reuse else _service(row)
            for name in (service.name, service.title, service.title_zh, *service.aliases):
                if names.setdefault(_key(name), service.name) != service.name:
                    raise InputError(f"{name!r} already names {names[_key(name)]}")
        except InputError as error:
            raise _placed(documents[0], index, error) from error
        services[service.name] = service
    return MappingProxyType(services)


def _placed(document: Document, index: int, error: InputError) -> InputError:
    path = ("spec", "services", index, *(error.field.split(".") if error.field else ()))
    return document.error(error.message, path, expected=error.expected, remedy=error.remedy)


def _service(row: _Service) -> CatalogueService:
    """Every objective has either a default with its source or a reason for having none."""
    neglected = [key for key in _KEYS if (key in row.defaults) == (key in row.not_found)]
    if neglected:
        raise InputError(f"{', '.join(neglected)}: need either a default or a reason under notFound, not both")
    defaults: dict[str, Sourced] = {}
    for key, default in row.defaults.items():
        name, parse = _KEYS[key]
        try:
            defaults[name] = Sourced(parse(default.value), default.source)
        except InputError as error:
            error.field = f"defaults.{key}"
            raise
    return _entry(row, defaults, {_KEYS[key][0]: reason for key, reason in row.not_found.items()})


def _reused(row: _Service, known: Mapping[str, CatalogueService]) -> CatalogueService:
    """Defaults of a service without sources of its own: the strictest objective of the reused rows, and their rates
    and bursts added, since all of that traffic may flow at once.
    """
    missing = [name for name in row.reuse if name not in known]
    if missing or row.defaults or row.not_found:
        raise InputError("reuse names rows above it, and has no figures beside it", field="reuse")
    defaults: dict[str, Sourced] = {}
    not_found: dict[str, str] = {}
    for name, _ in _KEYS.values():
        found = [(other, known[other].defaults[name]) for other in row.reuse if name in known[other].defaults]
        values = [float(default.value) for _, default in found if isinstance(default.value, (int, float))]
        if not found:
            not_found[name] = f"none found for {', '.join(row.reuse)}, which it reuses"
        elif name in ("bandwidth_bps", "burst_bytes"):
            defaults[name] = Sourced(int(sum(values)), _reuse_text("sum of", found))
        else:
            strictest = max(values) if name == "availability" else min(values)
            chosen = [(other, default) for other, default in found if default.value == strictest]
            defaults[name] = Sourced(strictest, _reuse_text("strictest of", chosen))
    return _entry(row, defaults, not_found)


def _reuse_text(how: str, found: Iterable[tuple[str, Sourced]]) -> str:
    return f"reused, {how} the rows reused: " + "; ".join(f"{name}: {default.source}" for name, default in found)


def _entry(row: _Service, defaults: Mapping[str, Sourced], not_found: Mapping[str, str]) -> CatalogueService:
    return CatalogueService(
        name=quantities.check_label(row.name),
        title=row.title,
        title_zh=row.title_zh,
        traffic_class=row.traffic_class,
        priority=quantities.check_priority(row.priority),
        defaults=MappingProxyType(dict(defaults)),
        aliases=tuple(row.aliases),
        note=row.note,
        not_found=MappingProxyType(dict(not_found)),
    )


def _key(name: str) -> str:
    """What two spellings of a name have in common: case, width, blanks, hyphens and underscores do not count."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(character for character in folded if not character.isspace() and character not in "-_")


CATALOGUE: Mapping[str, CatalogueService] = load_catalogue(read_bounded(_FILE), _FILE.name)
"""Every known service by name, in catalogue order; read-only."""


@lru_cache(maxsize=1)
def _names() -> Mapping[str, CatalogueService]:
    return {
        _key(name): service
        for service in CATALOGUE.values()
        for name in (service.name, service.title, service.title_zh, *service.aliases)
    }


def find_service(name_or_alias: str) -> CatalogueService:
    """The service of that name, title or alias, in English or Chinese. Raises InputError with the nearest names."""
    service = _names().get(_key(name_or_alias))
    if service is not None:
        return service
    near = get_close_matches(_key(name_or_alias[:60]), _names(), n=3, cutoff=0.6)
    suggestions = list(dict.fromkeys(_names()[key].name for key in near))
    raise InputError(
        f"unknown service {name_or_alias[:60]!r}",
        expected="one of " + ", ".join(CATALOGUE),
        remedy=f"did you mean {' or '.join(suggestions)}?" if suggestions else None,
    )
