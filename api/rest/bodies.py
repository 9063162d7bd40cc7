"""From request bodies to intents. Bodies are bounded while they stream in, not after they have filled the memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from carelane.api.placing import placed
from carelane.controller.pipeline import resolve
from carelane.documents import MAX_BYTES
from carelane.errors import InputError
from carelane.intents import ServiceIntent, from_manifest, load_intents, parse_line
from carelane.topology import Topology

__all__ = ["REQUEST", "Body", "bounded_body", "decode_json", "parse_intents"]

REQUEST = "request body"
_LINE_FIELDS = ("line", "from", "to", "name", "tenant")


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes of a request and their media type, lower case, without parameters."""

    media_type: str
    data: bytes


async def bounded_body(request: Request) -> Body:
    """FastAPI dependency: the body, at most MAX_BYTES of it. Raises HTTPException 413 as soon as that is certain."""
    too_large = HTTPException(413, f"the body is larger than {MAX_BYTES} bytes; split it into several requests")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BYTES:
        raise too_large
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > MAX_BYTES:
                raise too_large
    except ClientDisconnect as gone:
        raise HTTPException(400, "the connection ended before the body did") from gone
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Body(media_type, bytes(data))


def parse_intents(body: Body, topology: Topology) -> list[ServiceIntent]:
    """The intents in a body: manifests in YAML, or in JSON one manifest, a list of them, or a line of text.

    The line form is ``{"line": "remote surgery: 20 ms, 99.999%", "from": ["a"], "to": ["b"], "name": "x"}``.
    Names are looked up in `topology`, so that a wrong one is known by its line and not only once it is filed.
    Raises InputError with line and field.
    """
    if body.media_type == "application/json":
        return _from_json(body.data, topology)
    return _from_yaml(body.data, topology)


def _from_yaml(data: bytes | str, topology: Topology) -> list[ServiceIntent]:
    intents = load_intents(data, REQUEST)
    for intent in intents:
        try:
            resolve(intent, topology)
        except InputError as error:
            raise placed(error, intent.name, data, REQUEST) from error
    return intents


def _from_json(data: bytes, topology: Topology) -> list[ServiceIntent]:
    text, value = decode_json(data)
    if isinstance(value, list):
        return _from_list(value, topology)
    if not isinstance(value, dict):
        raise InputError("not a manifest", REQUEST, expected="a manifest, a list of manifests or {'line': ...}")
    if "line" in value:
        return [_from_line(value, topology)]
    # JSON is YAML but for tabs between tokens and for surrogate escapes; lines survive where neither occurs.
    plain = json.dumps(value, ensure_ascii=False, indent=1) if "\\u" in text else text.replace("\t", " ")
    return _from_yaml(plain, topology)


def decode_json(data: bytes) -> tuple[str, Any]:
    """JSON's text and value; duplicate names and numbers that are none are refused. Raises InputError."""

    def no_constant(name: str) -> None:
        raise InputError(f"{name} is not JSON", REQUEST, expected="finite numbers")

    try:
        text = data.decode("utf-8-sig")
        return text, json.loads(text, parse_constant=no_constant, object_pairs_hook=_no_duplicates)
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", REQUEST, expected="JSON in UTF-8") from error
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}", REQUEST, error.lineno) from error
    except RecursionError as error:
        raise InputError("nested too deeply", REQUEST, remedy="simplify it") from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"not JSON: {str(error)[:200]}", REQUEST) from error


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{twice!r} appears twice", REQUEST, field=twice, remedy="keep one of them")
    return value


def _from_list(items: list[Any], topology: Topology) -> list[ServiceIntent]:
    intents: dict[str, ServiceIntent] = {}
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise InputError("not a manifest", REQUEST, field=f"[{index}]", expected="a manifest")
        try:
            intent = from_manifest(item, REQUEST)
            resolve(intent, topology)
        except InputError as error:
            raise replace(error, field=f"[{index}]" + (f".{error.field}" if error.field else "")) from error
        if intent.name in intents:
            field = f"[{index}].metadata.name"
            raise InputError(f"{intent.name!r} is the name of two intents", REQUEST, field=field, remedy="rename one")
        intents[intent.name] = intent
    if not intents:
        raise InputError("holds no intents", REQUEST, expected="at least one manifest")
    return list(intents.values())


def _from_line(value: Mapping[str, Any], topology: Topology) -> ServiceIntent:
    for name in value:
        if name not in _LINE_FIELDS:
            raise InputError("unknown field", REQUEST, field=name, expected=f"one of {', '.join(_LINE_FIELDS)}")
    intent = parse_line(
        _text(value, "line") or "",
        source=_names(value, "from"),
        to=_names(value, "to"),
        name=_text(value, "name"),
        tenant=_text(value, "tenant") or "default",
        known_endpoints=topology.endpoints,
    )
    resolve(intent, topology)
    return intent


def _text(value: Mapping[str, Any], name: str) -> str | None:
    given = value.get(name)
    if given is None or isinstance(given, str):
        return given
    raise InputError("not text", REQUEST, field=name, expected="text")


def _names(value: Mapping[str, Any], name: str) -> tuple[str, ...]:
    given = value.get(name, [])
    names = [given] if isinstance(given, str) else given
    if isinstance(names, list) and all(isinstance(item, str) for item in names):
        return tuple(names)
    raise InputError("not a list of endpoints", REQUEST, field=name, expected="a list of endpoint names")
