"""YAML documents that remember where every value stood, with every dimension bounded.

Scalars follow the YAML 1.2 core schema, narrowed: only null, true/false and plain decimal numbers are special, so
that ``on`` is text, ``10:22:33:44:55:56`` is a MAC address and not a sexagesimal integer, and ``007`` stays a name.
Tags (``!!python/object``) and merge keys (``<<``) are refused; anchors and aliases work, within bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from carelane.errors import InputError

__all__ = ["MAX_BYTES", "Document", "load_documents", "read_bounded", "read_documents", "validate"]

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 32
_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
MAX_VALUES = 1_000_000
"""Values in one file, counting what aliases expand to."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"-?(?:0|[1-9][0-9]{0,29})")
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
        raise InputError(
            f"the text is larger than {MAX_BYTES // 2**20} MiB",
            file=file,
            expected=f"at most {MAX_BYTES} bytes",
            remedy="split it into several files",
        )
    text = _decoded(data, file)
    try:
        return list(_Reader(text, file).documents())
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise _not_yaml(error, text, file) from error


def _decoded(data: bytes | str, file: str) -> str:
    if isinstance(data, str):
        return data
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError("not UTF-8 text", file, line, None, "YAML in UTF-8", "save the file as UTF-8") from error


def _not_yaml(error: Exception, text: str, file: str) -> InputError:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        said = str(error.problem or error.context)
        if "maximum nesting depth" in said:  # libyaml's own limit, met while it looks ahead
            return InputError(_TOO_DEEP, file, _line(mark) if mark else None, remedy="simplify the file")
        problem = f"not YAML: {said}"
        return InputError(problem, file, _line(mark) if mark else None, None, "YAML", _remedy(problem))
    if isinstance(error, yaml.reader.ReaderError):
        line = text.encode("utf-8", "replace")[: error.position].count(b"\n") + 1
        code = ord(error.character) if isinstance(error.character, str) else int(error.character)
        remedy = "remove it, or write it as an escape in double quotes"
        return InputError(f"not YAML: unprintable character U+{code:04X}", file, line, None, "printable text", remedy)
    return InputError(f"not YAML: {str(error).splitlines()[0]}", file, expected="YAML in UTF-8")


def _remedy(problem: str) -> str | None:
    return "indent with spaces, never tabs; quote text that starts so" if "start any token" in problem else None


def _line(mark: Any) -> int:
    return int(mark.line) + 1


@dataclass(frozen=True, slots=True)
class _Anchored:
    value: Any
    size: int
    height: int


class _Reader:
    """Plain values straight from the parser's events: no node tree, bounded in depth and number as it goes."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.events: Iterator[Any] = yaml.parse(text, Loader=_Loader)
        self.lines: dict[Path_, int] = {}
        self.anchors: dict[str, _Anchored] = {}
        self.count = 0

    def documents(self) -> Iterator[Document]:
        for event in self.events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            self.lines, self.anchors = {}, {}
            root = next(self.events)
            value, line = self._value(root, ()), _line(root.start_mark)
            if isinstance(value, dict):
                yield Document(self.file, line, value, self.lines)
            elif value is not None:
                expected = "apiVersion, kind, metadata, spec"
                raise InputError("a document must be a mapping", self.file, line, expected=expected)

    def _fault(self, message: str, event: Any, path: Path_, remedy: str | None = None) -> InputError:
        field = field_name(path) or None
        return InputError(message, self.file, _line(event.start_mark), field, remedy=remedy)

    def _value(self, event: Any, path: Path_) -> Any:
        before = self.count
        self._count(1, event, path)
        self.lines.setdefault(path, _line(event.start_mark))
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(event, path)
        if event.tag is not None:
            raise self._fault(f"tags such as {str(event.tag)[:40]!r} are not supported", event, path, "remove the tag")
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        else:
            if len(path) >= MAX_DEPTH:
                raise self._too_deep(event, path)
            value = self._list(path) if isinstance(event, yaml.SequenceStartEvent) else self._mapping(path)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(value, self.count - before, _height(value))
        return value

    def _count(self, values: int, event: Any, path: Path_) -> None:
        self.count += values
        if self.count > MAX_VALUES:
            remedy = "split it into several files, and write out what aliases repeat"
            raise self._fault(f"more than {MAX_VALUES} values", event, path[:1], remedy)

    def _too_deep(self, event: Any, path: Path_) -> InputError:
        return self._fault(_TOO_DEEP, event, path[:1], "simplify the file")

    def _aliased(self, event: Any, path: Path_) -> Any:
        anchored = self.anchors.get(event.anchor)
        if anchored is None:
            message = f"alias *{event.anchor[:40]} names nothing complete before it"
            raise self._fault(message, event, path, "write the value out")
        self._count(anchored.size, event, path)
        if len(path) + anchored.height > MAX_DEPTH:
            raise self._too_deep(event, path)
        return anchored.value

    def _list(self, path: Path_) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._fault("a key must be plain text", event, path)
            if event.tag is not None or event.anchor is not None:
                raise self._fault("a key cannot have a tag or an anchor", event, path, "write the key alone")
            key: str = event.value
            if key == "<<" and not event.style:
                raise self._fault("merge keys (<<) are not supported", event, path, "write the fields out")
            inner = (*path, key)
            if key in result:
                raise self._fault(f"{key[:40]!r} appears twice", event, inner, "keep one of them")
            self.lines[inner] = _line(event.start_mark)
            result[key] = self._value(next(self.events), inner)
        return result


def _height(value: Any) -> int:
    """Levels of collections in a value, itself included; bounded, as every value read is."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_height, inner), default=0)


def _scalar(event: Any) -> object:
    text: str = event.value
    if event.style:  # quoted or block text; the C parser writes plain as "", the Python one as None
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


_PLAIN_WORDS: Mapping[str, str] = {
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}


def validate(document: Document, model: type[Model]) -> Model:
    """The document's value as `model`; the first fault (by line) becomes an InputError with its line and field.

    Validators inside the models may raise InputError (as `carelane.units` does); it is placed here.
    """
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        first = min(faults, key=lambda fault: document.line_of(fault["loc"]))
        placed = _placed(document, model, first)
        if len(faults) > 1:
            more = f"{len(faults) - 1} more fault{'s' if len(faults) > 2 else ''} in this document"
            placed.remedy = f"{placed.remedy}; {more}" if placed.remedy else more
        raise placed from error


def _placed(document: Document, model: type[BaseModel], fault: ErrorDetails) -> InputError:
    path: Path_ = fault["loc"]
    context = fault.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, InputError):
        return document.error(cause.message, path, expected=cause.expected, remedy=cause.remedy)
    match fault["type"]:
        case "extra_forbidden":
            return document.error("unknown field", path, expected=_known_fields(model, path))
        case "missing":
            return document.error("missing", path, remedy=f"add {path[-1]}")
        case "literal_error":
            return document.error(f"{str(fault['input'])[:40]!r} is not known", path, expected=context["expected"])
        case "too_short" | "too_long" as kind:
            found, least = context["actual_length"], kind == "too_short"
            limit = context["min_length"] if least else context["max_length"]
            what = "nothing is listed" if not found else f"{found} entries"
            return document.error(what, path, expected=f"{limit} at {'least' if least else 'most'}")
        case kind if kind in _PLAIN_WORDS:
            what = str(fault["input"])[:40]
            remedy = (
                "write it in quotes" if kind == "string_type" and not isinstance(fault["input"], dict | list) else None
            )
            shown = "nothing" if fault["input"] is None else repr(what)
            return document.error(f"{shown} does not fit here", path, expected=_PLAIN_WORDS[kind], remedy=remedy)
        case _:
            return document.error(fault["msg"].removeprefix("Value error, "), path)


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
