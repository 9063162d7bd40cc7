"""YAML documents that remember where every value stood, with every dimension bounded.

Scalars follow the YAML 1.2 core schema: only null, true/false and decimal numbers are special, so that
``on`` is text and ``10:22:33:44:55:56`` is a MAC address, not a sexagesimal integer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from carelane.errors import InputError

__all__ = ["MAX_BYTES", "Document", "load_documents", "read_bounded", "read_documents", "validate"]

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 1_000_000
MAX_EXPANDED = 1_000_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?[0-9]{1,30}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]{1,3})?")
_CONSTANTS: Mapping[str, object] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
Path_ = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its plain value and the line of every key and item (counted from 1)."""

    file: str
    line: int
    value: Mapping[str, Any]
    lines: Mapping[Path_, int]

    @property
    def kind(self) -> str:
        return str(self.value.get("kind", ""))

    def line_of(self, path: Path_) -> int:
        """Line of the deepest part of `path` that exists."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return self.line

    def error(
        self, message: str, path: Path_ = (), *, expected: str | None = None, remedy: str | None = None
    ) -> InputError:
        """An InputError placed at `path` of this document."""
        return InputError(message, self.file, self.line_of(path), field_name(path) or None, expected, remedy)


def field_name(path: Path_) -> str:
    """``("spec", "links", 3, "a")`` as ``spec.links[3].a``."""
    name = ""
    for part in path:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name


def read_bounded(path: Path, what: str = "file") -> bytes:
    """The bytes of `path`, at most MAX_BYTES of them. Raises InputError."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read the {what}: {error.strerror or error}", file=str(path)) from error
    if len(data) > MAX_BYTES:
        raise InputError(
            f"the {what} is larger than {MAX_BYTES // 2**20} MiB",
            file=str(path),
            expected=f"at most {MAX_BYTES} bytes",
            remedy="split it into several files",
        )
    return data


def read_documents(path: Path) -> list[Document]:
    """All documents of a YAML file. Raises InputError."""
    return load_documents(read_bounded(path), str(path))


def load_documents(data: bytes | str, file: str = "<text>") -> list[Document]:
    """All documents of YAML text, empty ones left out. Raises InputError with file and line."""
    if len(data) > MAX_BYTES:
        raise InputError(f"the text is larger than {MAX_BYTES // 2**20} MiB", file=file, remedy="split it")
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        _check_bounds(text, file)
        return [document for document in _compose(text, file) if document is not None]
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1 if isinstance(data, bytes) else None
        raise InputError("not UTF-8 text", file, line, expected="YAML in UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise InputError(
            f"not YAML: {error.problem or error.context}", file, mark.line + 1 if mark else None
        ) from error
    except (yaml.YAMLError, UnicodeEncodeError, ValueError) as error:
        raise InputError(f"not YAML: {str(error).splitlines()[0]}", file) from error


def _check_bounds(text: str, file: str) -> None:
    """Walk the events, which needs no recursion, before anything is built from them."""
    depth = nodes = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
        nodes += 1
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            what = f"nested deeper than {MAX_DEPTH}" if depth > MAX_DEPTH else f"more than {MAX_NODES} values"
            raise InputError(what, file, _line(event.start_mark), remedy="simplify or split the file")


def _line(mark: Any) -> int:
    return int(mark.line) + 1


def _compose(text: str, file: str) -> Iterator[Document | None]:
    for root in yaml.compose_all(text, Loader=_Loader):
        if root is None:
            continue
        builder = _Builder(file)
        value = builder.build(root, ())
        line = _line(root.start_mark)
        if value is None:
            continue
        if not isinstance(value, dict):
            raise InputError("a document must be a mapping", file, line, expected="apiVersion, kind, metadata, spec")
        yield Document(file, line, value, builder.lines)


class _Builder:
    """Plain values from composed nodes; counts what aliases expand to."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Path_, int] = {}
        self.count = 0

    def build(self, node: yaml.Node, path: Path_) -> Any:
        self.count += 1
        line = _line(node.start_mark)
        if self.count > MAX_EXPANDED or len(path) > MAX_DEPTH:
            raise InputError(
                "aliases expand to too many values",
                self.file,
                line,
                remedy="write the values out, or split the file",
            )
        self.lines.setdefault(path, line)
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key_line = _line(key_node.start_mark)
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                raise InputError("a key must be plain text", self.file, key_line, field_name(path) or None)
            if key in result:
                raise InputError(
                    f"{key!r} appears twice",
                    self.file,
                    key_line,
                    field_name((*path, key)),
                    remedy="keep one of them",
                )
            self.lines[(*path, key)] = key_line
            result[key] = self.build(value_node, (*path, key))
        return result


def _scalar(node: yaml.ScalarNode) -> object:
    text: str = node.value
    if node.style is not None:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def validate(document: Document, model: type[Model]) -> Model:
    """The document's value as `model`; the first fault becomes an InputError with its line and field.

    Validators inside the models may raise InputError (as `carelane.units` does); it is placed here.
    """
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path: Path_ = first["loc"]
        cause = first.get("ctx", {}).get("error")
        message = cause.message if isinstance(cause, InputError) else first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "unknown field"
        elif first["type"] == "missing":
            message = "missing"
        expected = _known_fields(model, path) if first["type"] == "extra_forbidden" else None
        remedy = None
        if isinstance(cause, InputError):
            expected, remedy = cause.expected, cause.remedy
        if error.error_count() > 1:
            more = f"{error.error_count() - 1} more faults in this document"
            remedy = f"{remedy}; {more}" if remedy else more
        raise document.error(message, path, expected=expected, remedy=remedy) from error


def _known_fields(model: type[BaseModel], path: Path_) -> str | None:
    """The fields of the model that `path` points into, when it can be followed simply."""
    current: Any = model
    for part in path[:-1]:
        if isinstance(part, int):
            continue
        fields = getattr(current, "model_fields", {})
        match = next((f for name, f in fields.items() if part in (name, f.alias)), None)
        current = _inner_model(match.annotation) if match else None
    fields = getattr(current, "model_fields", None)
    return "one of " + ", ".join(f.alias or name for name, f in fields.items()) if fields else None


def _inner_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _inner_model(argument)
        if found is not None:
            return found
    return None
