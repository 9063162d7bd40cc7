"""Identifiers of nodes, links, endpoints and risk groups.

Any printable text without spaces and without the characters that lists, intents of one line and shells need for
themselves: ``county/or-1``, ``or_1``, ``手术室-1``.
"""

from __future__ import annotations

from carelane.errors import InputError

__all__ = ["MAX_NAME", "check_name", "usable_name"]

MAX_NAME = 128
_RESERVED = frozenset(',:;，：；、。→⇒<>"`|{}[]\\$*?!&')
_EXPECTED = f"1 to {MAX_NAME} printable characters, no spaces, none of , : ; < > quotes or brackets"


def _allowed(character: str) -> bool:
    return character.isprintable() and not character.isspace() and character not in _RESERVED


def check_name(value: object) -> str:
    """`value` as an identifier; a whole number is taken as its digits. Raises InputError."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not 0 < len(text) <= MAX_NAME or not all(map(_allowed, text)):
        raise InputError(f"{str(value)[:40]!r} is not an identifier", expected=_EXPECTED)
    return text


def usable_name(text: str) -> str:
    """`text` with every character that an identifier cannot carry replaced by ``_``."""
    return "".join(c if _allowed(c) else "_" for c in text[:MAX_NAME].strip()) or "_"
