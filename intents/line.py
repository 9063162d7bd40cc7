"""An intent in one line, English or Chinese: ``remote surgery county/or-1 -> province/console-3: 20 ms, 99.999%``.

A bare percentage is the availability, a bare time the delay, a bare rate the bandwidth both ways; ``up`` is from the
first-named side to the second. The grammar is `line.lark`, read the first time a line is parsed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carelane.errors import InputError
from carelane.intents import _quantities as quantities
from carelane.intents._clauses import Clauses, Part
from carelane.intents._shape import faults
from carelane.intents.catalogue import find_service
from carelane.intents.model import CatalogueService, ServiceIntent

if TYPE_CHECKING:
    from lark import Lark, Token
    from lark.exceptions import UnexpectedInput

__all__ = ["MAX_LINE", "load_grammar", "parse_line"]

MAX_LINE = 2_000
_GRAMMAR = Path(__file__).with_name("line.lark")
_SHAPE = "'service from -> to: objectives', such as 'remote surgery county/or-1 -> province/console-3: 20 ms, 99.999%'"
_QUOTED = '"[^"]*"|“[^”]*”'
_HEAD = re.compile(f"(?:{_QUOTED}|[^:\uff1a])*")
_HEAD_WIDE = re.compile(f"({_QUOTED})|\uff0d\uff1e|\uff1d\uff1e|[\uff0c\uff1b\u3000]")
_ASCII_OF = {0xFF01 + offset: 0x21 + offset for offset in range(94)} | {0x3000: 0x20}
_SHOWN = 20
_LONGEST_SERVICE = 8
"""Words that a service's name may have."""
_EXPECTED = {
    "WORD": "a service or endpoint name",
    "QUOTED": "a service or endpoint name",
    "_ARROW": "'->'",
    "_COMMA": "a comma",
    "_COLON": "':'",
    "NUMBER": "a figure such as '20 ms'",
    "UNIT": "a unit",
    "DELAY": "a word such as 'jitter', 'loss', 'burst', 'round trip' or 'unprotected'",
    "$END": "the end of the line",
}
_KEYWORDS = (
    "delay", "latency", "jitter", "loss", "availability", "bandwidth", "rate", "burst", "priority", "speakers",
    "round trip", "one way", "forward", "reverse", "up", "down", "only", "protected", "unprotected", "none",
    "时延", "延迟", "抖动", "丢包率", "可用性", "可用率", "带宽", "速率", "突发", "优先级", "发言", "往返",
    "单程", "上行", "下行", "无保护", "不限",
)  # fmt: skip


def parse_line(
    text: str,
    *,
    source: Sequence[str] = (),
    to: Sequence[str] = (),
    name: str | None = None,
    tenant: str = "default",
    known_endpoints: Collection[str] = (),
) -> ServiceIntent:
    """The intent of one line; `source` and `to` give the endpoints when the line does not.

    `known_endpoints` are only for the message when endpoints are missing. Without `name` the intent is named after
    its service and endpoints, the same line always giving the same name. Raises InputError with the column.
    """
    if len(text) > MAX_LINE:
        raise InputError(f"the line has {len(text)} characters", expected=f"at most {MAX_LINE}", remedy="use a file")
    if not text.strip():
        raise InputError("the line is empty", expected=_SHAPE)
    if len(text.strip().splitlines()) > 1:
        raise InputError("more than one line", expected="one intent on one line", remedy="use a file for several")
    line = _parse(text)
    ends = _endpoints(line, tuple(source), tuple(to), known_endpoints)
    clauses = line.clauses
    intent = ServiceIntent(
        name=quantities.check_label(name) if name is not None else _name(line.service.name, *ends),
        tenant=quantities.check_label(tenant),
        service=line.service.name,
        source=ends[0],
        to=ends[1],
        objectives=clauses.objectives(),
        direction=clauses.direction or "both",
        burst_bytes=clauses.burst_bytes,
        round_trip=clauses.round_trip or False,
        protection=clauses.protection or "auto",
        priority=clauses.priority,
        speakers=clauses.speakers,
    )
    for path, fault in faults(intent):
        fault.field = f"column {line.columns[path]}" if path in line.columns else str(path[0])
        raise fault
    return intent


@dataclass(frozen=True, slots=True)
class _Line:
    """What the line says, and the column of each endpoint by its place, such as ``("to", 1)``."""

    service: CatalogueService
    source: tuple[str, ...]
    to: tuple[str, ...]
    clauses: Clauses
    columns: Mapping[tuple[str | int, ...], int]


def load_grammar() -> None:
    """Build parser and scanner now, a tenth of a second, and not while the first twenty callers wait for one each."""
    _parse("remote surgery: 20 ms")


@lru_cache(maxsize=1)
def _parser() -> Lark:
    from lark import Lark

    return Lark(_GRAMMAR.read_text("utf-8"), parser="lalr", maybe_placeholders=False)


def _parse(text: str) -> _Line:
    from lark.exceptions import UnexpectedInput

    plain = _narrow(text)
    try:
        tree: Any = _parser().parse(plain)
    except UnexpectedInput as error:
        raise _syntax_error(plain, error) from error
    head = tree.children[0]
    clauses = Clauses()
    for clause in tree.children[1].children if len(tree.children) > 1 else ():
        clauses.add([_part(part.children[0]) for part in clause.children])
    words = list(head.children[0].children)
    if head.data == "bare":
        return _Line(_service(words, routed=False), (), (), clauses, {})
    first = words.pop() if head.data == "routed" else None
    if not words:
        raise InputError("no service before the first endpoint", None, None, "column 1", _SHAPE)
    sources = [first] if first is not None else []
    for child in head.children[1:-1]:
        sources.extend(child.scan_values(lambda _: True))
    targets = [endpoint.children[0] for endpoint in head.children[-1].children]
    service = _service(words, routed=True)
    columns: dict[tuple[str | int, ...], int] = {
        (side, index): _column(token)
        for side, tokens in (("from", sources), ("to", targets))
        for index, token in enumerate(tokens)
    }
    return _Line(service, _names(sources), _names(targets), clauses, columns)


def _narrow(text: str) -> str:
    """Full-width punctuation as ASCII, each sign for one sign. Names may hold full-width signs that mean nothing here,
    so before the colon only those that cannot be part of a name change.
    """
    text = text.rstrip().rstrip("。")
    match = _HEAD.match(text)
    end = match.end() if match else 0
    head = _HEAD_WIDE.sub(lambda found: found[1] or found[0].translate(_ASCII_OF), text[:end])
    return head + text[end:].translate(_ASCII_OF).rstrip(".")


def _part(child: Any) -> Part:
    """A keyword, or a figure with its unit."""
    from lark import Token

    if isinstance(child, Token):
        return Part(child.type, str(child), _column(child))
    number, *unit = child.children
    return Part("AMOUNT", str(number), _column(number), str(unit[0]) if unit else "")


def _column(token: Token) -> int:
    return (token.start_pos or 0) + 1


def _service(words: list[Token], *, routed: bool) -> CatalogueService:
    """The catalogue's service; when only the beginning names one, the rest is what is wrong."""
    try:
        return find_service(" ".join(words))
    except InputError as error:
        for end in range(min(len(words) - 1, _LONGEST_SERVICE), 0, -1):
            try:
                service = find_service(" ".join(words[:end]))
            except InputError:
                continue
            rest = words[end]
            fault = f"{str(rest)[:40]!r} after the service {service.name}"
            expected = "the first endpoint alone before '->'" if routed else "':' or 'endpoint -> endpoint'"
            remedy = "put blanks around the arrow, and quotes around names with blanks"
            raise InputError(fault, None, None, f"column {_column(rest)}", expected, remedy) from error
        error.field = f"column {_column(words[0])}"
        raise


def _names(tokens: Sequence[Token]) -> tuple[str, ...]:
    names = []
    for token in tokens:
        try:
            names.append(quantities.check_endpoint(token[1:-1] if token.type == "QUOTED" else str(token)))
        except InputError as error:
            error.field = f"column {_column(token)}"
            raise
    return tuple(names)


def _endpoints(
    line: _Line, source: tuple[str, ...], to: tuple[str, ...], known: Collection[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The endpoints from the line or from the options, never mixed from both."""
    if line.to:
        if (source, to) not in (((), ()), (line.source, line.to)):
            raise InputError("the line and the options both name endpoints", remedy="leave one of them out")
        return line.source, line.to
    missing = [side for side, names in (("from", source), ("to", to)) if not names]
    if not missing:
        return tuple(map(quantities.check_endpoint, source)), tuple(map(quantities.check_endpoint, to))
    free = [name for name in known if name not in (*source, *to)]
    more = f" and {len(free) - _SHOWN} more" if len(free) > _SHOWN else ""
    raise InputError(
        f"no endpoints: {' and '.join(missing)} missing",
        field=missing[0],
        expected=f"endpoints among {', '.join(free[:_SHOWN])}{more}" if free else _SHAPE,
        remedy="write 'from -> to' before the colon, or give both as fields (--from and --to)",
    )


def _name(service: str, source: tuple[str, ...], to: tuple[str, ...]) -> str:
    """`service-from-to` as an RFC 1123 label; with a digest wherever that alone might not tell two intents apart."""
    ends = (*source, *to)
    slug = "-".join((service, source[0], to[0]))
    label = re.sub(r"[^a-z0-9]+", "-", slug.casefold()).strip("-")
    plain = len(ends) == 2 and all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*)?", e) for e in ends)
    if plain and len(label) <= 63:
        return label
    digest = hashlib.sha256("\0".join((service, *source, "", *to)).encode()).hexdigest()[:8]
    return f"{label[:54].rstrip('-')}-{digest}"


def _syntax_error(text: str, error: UnexpectedInput) -> InputError:
    """What stands where, what could have stood there, and what may have been meant."""
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    position, accepted = len(text), set[str]()
    if isinstance(error, UnexpectedCharacters):
        position, accepted = error.pos_in_stream or 0, set(error.allowed or ())
    elif isinstance(error, UnexpectedToken):
        position = len(text) if error.token.type == "$END" else error.token.start_pos or 0
        accepted = set(error.accepts or error.expected)
    expected = list(dict.fromkeys(_EXPECTED[name] for name in _EXPECTED if name in accepted))
    found = re.match(r"[^\s,;:、]+|.", text[position:])
    word = found[0][:40] if found else ""
    near = get_close_matches(word.casefold(), _KEYWORDS, n=1, cutoff=0.6) if word and "DELAY" in accepted else []
    return InputError(
        f"{word!r} does not fit here" if word else "the line ends too early",
        field=f"column {position + 1}",
        expected=" or ".join(expected) or _SHAPE,
        remedy=f"did you mean {near[0]!r}?" if near else None,
    )
