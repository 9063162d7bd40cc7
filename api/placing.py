"""Puts a fault found after parsing back onto the line it came from.

Intents carry no line numbers through the stages; when a later stage names a field of one of them, the text is read
again, which costs nothing in the good case.
"""

from __future__ import annotations

import re
from dataclasses import replace

from carelane.documents import load_documents
from carelane.errors import InputError

__all__ = ["placed"]

_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def placed(error: InputError, name: str, data: bytes | str, file: str) -> InputError:
    """`error` with the file, and the line of its field in the document of intent `name`, where one is found."""
    if error.line is not None:
        return error
    try:
        documents = load_documents(data, file)
    except InputError:
        return replace(error, file=file)
    for document in documents:
        metadata = document.value.get("metadata")
        if isinstance(metadata, dict) and str(metadata.get("name")) == name:
            return replace(error, file=file, line=document.line_of(_path(error.field or "")))
    return replace(error, file=file)


def _path(field: str) -> tuple[str | int, ...]:
    """``spec.from[0]`` as the keys and indexes it names."""
    return tuple(int(index) if index else key for key, index in _PART.findall(field))
