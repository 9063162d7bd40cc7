"""Where commands read from: topologies, manifests, one-line intents. Places every error in the user's own files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from carelane.cli._exit import warn
from carelane.errors import InputError

if TYPE_CHECKING:
    from carelane.documents import Document
    from carelane.intents import ServiceIntent
    from carelane.topology import Topology

__all__ = ["Filed", "Patch", "Submission", "load_network", "read_intents", "read_patch", "read_submission"]

T = TypeVar("T")
MAX_BYTES = 8 * 1024 * 1024
STDIN = "-"
_BOM = b"\xef\xbb\xbf"
_SEPARATOR = b"\n---\n"


def load_network(source: str, default_capacity: str | None, default_availability: str | None) -> Topology:
    """The topology, its warnings told on stderr. Raises InputError."""
    from carelane.topology import load_topology
    from carelane.units import parse_rate_bps, parse_ratio

    topology = load_topology(
        source,
        default_capacity_bps=_option("--default-capacity", parse_rate_bps, default_capacity),
        default_availability=_option("--default-availability", parse_ratio, default_availability),
    )
    for text in topology.warnings:
        warn(text)
    return topology


def _option(name: str, parse: Callable[[str], T], text: str | None) -> T | None:
    """The option's value, or None when it is not given. Raises InputError naming the option."""
    try:
        return None if text is None else parse(text)
    except InputError as error:
        raise replace(error, field=name) from error


def _one_or_the_other(line: str | None, files: Sequence[str], source: Sequence[str], to: Sequence[str]) -> None:
    if line is not None and files:
        raise InputError("an intent line and a file are both given", remedy="give one of them")
    if line is None and not files:
        raise InputError("no intents", expected="-f FILE, or a line such as 'remote surgery a -> b: 20 ms, 99.999%'")
    if line is None and (source or to):
        raise InputError("--from and --to belong to an intent line, not to files", remedy="state endpoints in the file")


@dataclass(frozen=True, slots=True)
class Filed:
    """An intent and the text it came from, kept so that later faults can be placed in it."""

    intent: ServiceIntent
    file: str | None = None
    data: bytes = b""


def read_intents(
    line: str | None,
    files: Sequence[str],
    source: Sequence[str],
    to: Sequence[str],
    name: str | None,
    known_endpoints: Collection[str],
    topology_file: str | None = None,
) -> list[Filed]:
    """The intents of all files, or the one of the line. Raises InputError.

    Only `topology_file`, when it is named among `files` too, may hold its topology beside intents.
    """
    from carelane.intents import load_intents, parse_line

    _one_or_the_other(line, files, source, to)
    if line is not None:
        intent = parse_line(line, source=tuple(source), to=tuple(to), name=name, known_endpoints=known_endpoints)
        return [Filed(intent)]
    found: dict[str, Filed] = {}
    for file in files:
        data = _read(file)
        beside = frozenset({"Topology"}) if file == topology_file else frozenset[str]()
        for intent in load_intents(data, _shown(file), beside=beside):
            if intent.name in found:
                from carelane.api.placing import placed

                fault = InputError(
                    f"{intent.name!r} is already the name of an intent in {found[intent.name].file}",
                    field="metadata.name",
                    remedy="rename one of them",
                )
                raise placed(fault, intent.name, data, _shown(file))
            found[intent.name] = Filed(intent, _shown(file), data)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Submission:
    """What is sent to a server: a body, and which file each of its lines came from."""

    body: bytes
    media_type: str
    parts: tuple[tuple[str, int], ...] = ()
    """(file, number of its first line in the body), in order; empty for an intent line."""

    def placed(self, error: InputError) -> InputError:
        """The server's error, placed in the user's own file."""
        if not self.parts or error.line is None:
            return replace(error, file=self.parts[0][0] if len(self.parts) == 1 else None)
        file, first = next((part for part in reversed(self.parts) if part[1] <= error.line), self.parts[0])
        return replace(error, file=file, line=error.line - first + 1)


def read_submission(
    line: str | None, files: Sequence[str], source: Sequence[str], to: Sequence[str], name: str | None
) -> Submission:
    """What to send for files or a line; files go as they are, since the server has the last word on them."""
    _one_or_the_other(line, files, source, to)
    if line is not None:
        value = {"line": line, "from": list(source), "to": list(to), **({"name": name} if name else {})}
        return Submission(json.dumps(value, ensure_ascii=False).encode(), "application/json")
    body = b""
    parts = []
    for file in files:
        if body:
            body += _SEPARATOR
        parts.append((_shown(file), body.count(b"\n") + 1))
        body += _read(file).removeprefix(_BOM)
    return Submission(body, "application/yaml", tuple(parts))


@dataclass(frozen=True, slots=True)
class Patch:
    """A merge patch (RFC 7396) in JSON, and the document that it was written in."""

    body: bytes
    document: Document

    def placed(self, error: InputError) -> InputError:
        """The server's error, placed where the patch names the field."""
        path = tuple((error.field or "").split("."))
        line = self.document.line_of(path) if path[0] in self.document.value else None
        return replace(error, file=self.document.file, line=line)


def read_patch(text: str | None, file: str | None) -> Patch:
    """A patch in YAML or JSON, given on the command line or in a file. Raises InputError."""
    from carelane.documents import load_documents

    if (text is None) == (file is None):
        raise InputError("no patch" if text is None else "two patches", expected="either -p PATCH or -f FILE")
    place = "--patch" if file is None else _shown(file)
    documents = load_documents((text or "").encode() if file is None else _read(file), place)
    if len(documents) != 1:
        raise InputError("not one patch", place, expected="one mapping, such as '{spec: {objectives: {delay: 30ms}}}'")
    return Patch(json.dumps(documents[0].value, ensure_ascii=False).encode(), documents[0])


def _shown(file: str) -> str:
    return "<stdin>" if file == STDIN else file


def _read(file: str) -> bytes:
    """Raises InputError when the file cannot be read or is too large to be intents."""
    try:
        if file == STDIN:
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read it: {reason}", file=_shown(file)) from error
    if len(data) > MAX_BYTES:
        raise InputError(f"larger than {MAX_BYTES // 2**20} MiB", _shown(file), remedy="split it into several files")
    return data
