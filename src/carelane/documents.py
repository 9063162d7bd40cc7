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
MAX_NODES = 1_000_000
MAX_EXPANDED = 1_000_000

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
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        _check_bounds(text, file)
        return list(_compose(text, file))
    except InputError:
        raise
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1 if isinstance(data, bytes) else None
        raise InputError("not UTF-8 text", file, line, None, "YAML in UTF-8", "save the file as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = f"not YAML: {error.problem or error.context}"
        raise InputError(problem, file, _line(mark) if mark else None, None, "YAML", _remedy(problem)) from error
    except yaml.reader.ReaderError as error:
        line = text.encode("utf-8", "replace")[: error.position].count(b"\n") + 1
        code = ord(error.character) if isinstance(error.character, str) else int(error.character)
        raise InputError(
            f"not YAML: unprintable character U+{code:04X}",
            file,
            line,
            expected="printable text",
            remedy="remove it, or write it as an escape in double quotes",
        ) from error
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise InputError(f"not YAML: {str(error).splitlines()[0]}", file, expected="YAML in UTF-8") from error


def _remedy(problem: str) -> str | None:
    return "indent with spaces, never tabs; quote text that starts so" if "start any token" in problem else None


def _check_bounds(text: str, file: str) -> None:
    """Walk the events, which needs no recursion, before anything is built from them."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
        line = _line(event.start_mark)
        if depth > MAX_DEPTH:
            raise InputError(f"nested deeper than {MAX_DEPTH} levels", file, line, remedy="simplify the file")
        if count >= MAX_NODES:
            raise InputError(f"more than {MAX_NODES} values", file, line, remedy="split it into several files")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise InputError(f"tags such as {str(tag)[:40]!r} are not supported", file, line, remedy="remove the tag")


def _line(mark: Any) -> int:
    return int(mark.line) + 1


def _compose(text: str, file: str) -> Iterator[Document]:
    for root in yaml.compose_all(text, Loader=_Loader):
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
            if key == "<<" and not key_node.style:
                raise InputError(
                    "merge keys (<<) are not supported",
                    self.file,
                    key_line,
                    field_name(path) or None,
                    remedy="write the fields out",
                )
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
    if node.style:  # quoted or block text; the C loader writes plain as "", the Python one as None
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
            more = f"{len(faults) - 1} more faults in this document"
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
