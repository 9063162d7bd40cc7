"""What the clauses after the colon of a line mean: ``20 ms``, ``jitter 5 ms``, ``40 Mbps up``, ``unprotected``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from carelane.errors import InputError
from carelane.intents import _quantities as quantities
from carelane.intents.model import OFF, StatedObjectives
from carelane.units import DURATION_UNITS, RATE_UNITS, SIZE_UNITS

__all__ = ["Clauses", "Part"]

_METRICS = ("DELAY", "JITTER", "LOSS", "AVAILABILITY", "BANDWIDTH", "BURST", "PRIORITY", "SPEAKERS")
_UNIT_OF: Mapping[str, str] = {
    "DELAY": "a time such as 20 ms",
    "JITTER": "a time such as 5 ms",
    "LOSS": "a percentage such as 0.01%",
    "AVAILABILITY": "a percentage such as 99.999%",
    "BANDWIDTH": "a rate such as 40 Mbps",
    "BURST": "a size such as 64 KB",
    "PRIORITY": "a whole number from 0 to 9",
    "SPEAKERS": "a whole number of sites",
}
_MEANT_BY: Mapping[str, str] = {"time": "DELAY", "rate": "BANDWIDTH", "percent": "AVAILABILITY"}
_MEASURED_IN: Mapping[str, tuple[str, ...]] = {
    "DELAY": ("time",),
    "JITTER": ("time",),
    "LOSS": ("percent",),
    "AVAILABILITY": ("percent", "bare"),
    "BANDWIDTH": ("rate",),
    "BURST": ("size",),
    "PRIORITY": ("bare",),
    "SPEAKERS": ("bare",),
}


@dataclass(frozen=True, slots=True)
class Part:
    """A keyword (`kind` is its terminal in the grammar) or a figure (`kind` AMOUNT), and where it stood."""

    kind: str
    text: str
    column: int
    unit: str = ""

    def error(self, message: str, expected: str | None = None, remedy: str | None = None) -> InputError:
        return InputError(message, None, None, f"column {self.column}", expected, remedy)


@dataclass(slots=True)
class Clauses:
    """Collects the clauses of one line; each thing may be said once. Every method raises InputError."""

    stated: dict[str, Any] = field(default_factory=dict)
    direction: Literal["both", "forward", "reverse"] | None = None
    burst_bytes: int | None = None
    round_trip: bool | None = None
    protection: Literal["auto", "required", "none"] | None = None
    priority: int | None = None
    speakers: int | None = None

    def objectives(self) -> StatedObjectives:
        return StatedObjectives(**self.stated)

    def add(self, parts: Sequence[Part]) -> None:
        """One clause, its parts in the order written."""
        by_kind: dict[str, Part] = {}
        for part in parts:
            if part.kind in by_kind:
                raise part.error(f"{part.text!r} stands twice in one clause", remedy="put a comma between clauses")
            by_kind[part.kind] = part
        metrics = [part for part in parts if part.kind in _METRICS]
        if len(metrics) > 1:
            raise metrics[1].error(f"{metrics[1].text!r} in the same clause", remedy="put a comma between clauses")
        metric = metrics[0] if metrics else None
        amount = by_kind.pop("AMOUNT", None)
        if metric is not None:
            del by_kind[metric.kind]
        if amount is not None:
            self._figure(amount, metric, by_kind)
        elif metric is not None:
            self._switched_off(metric, by_kind)
        else:
            self._flags(by_kind)
        for stray in by_kind.values():
            raise stray.error(f"{stray.text!r} does not fit in this clause", remedy="put a comma before or after it")

    def _figure(self, amount: Part, metric: Part | None, others: dict[str, Part]) -> None:
        dimension = _dimension(amount)
        kind = metric.kind if metric is not None else _MEANT_BY.get(dimension)
        if kind is None:
            remedy = f"write 'burst {amount.text} {amount.unit}'" if dimension == "size" else "write its unit"
            raise amount.error(f"{_shown(amount)!r} does not say what it is", "a figure such as 20 ms", remedy)
        if dimension not in _MEASURED_IN[kind]:
            what = "has no unit" if dimension == "bare" else f"is not a measure of {kind.lower()}"
            raise amount.error(f"{_shown(amount)!r} {what}", _UNIT_OF[kind])
        try:
            self._set(kind, amount, others)
        except InputError as error:
            error.field = error.field or f"column {amount.column}"
            raise

    def _set(self, kind: str, amount: Part, others: dict[str, Part]) -> None:
        text = f"{amount.text}{amount.unit}"
        match kind:
            case "DELAY":
                self._once("delay_s", quantities.delay_s(text), amount)
                self._way(others)
            case "JITTER":
                self._once("jitter_s", quantities.jitter_s(text), amount)
            case "LOSS":
                self._once("loss", quantities.loss(text), amount)
            case "AVAILABILITY":
                self._once("availability", quantities.availability(text), amount)
            case "BANDWIDTH":
                self._bandwidth(quantities.bandwidth_bps(text), amount, others)
            case "BURST":
                self.burst_bytes = _first(self.burst_bytes, quantities.burst_bytes(text), amount, "burst")
            case "SPEAKERS":
                self.speakers = _first(self.speakers, quantities.check_speakers(_whole(amount)), amount, "speakers")
            case _:
                self.priority = _first(self.priority, quantities.check_priority(_whole(amount)), amount, "priority")

    def _once(self, name: str, value: object, part: Part) -> None:
        if name in self.stated:
            raise part.error(f"{name.partition('_')[0]} is stated twice", remedy="keep one of them")
        self.stated[name] = value

    def _bandwidth(self, rate_bps: int, amount: Part, others: dict[str, Part]) -> None:
        forward, reverse = others.pop("FORWARD", None), others.pop("REVERSE", None)
        sides = [
            name
            for name, here, other in (("forward_bps", forward, reverse), ("reverse_bps", reverse, forward))
            if here is not None or other is None
        ]
        for side in sides:
            if side in self.stated:
                remedy = "say which is which: '40 Mbps up / 2 Mbps down'"
                raise amount.error("bandwidth is stated twice for the same direction", remedy=remedy)
            self.stated[side] = rate_bps
        if others.get("ONLY") and len(sides) == 1:
            self._only(others.pop("ONLY"), "forward" if forward else "reverse")

    def _way(self, others: dict[str, Part]) -> None:
        for kind, value in (("ROUND_TRIP", True), ("ONE_WAY", False)):
            part = others.pop(kind, None)
            if part is not None:
                self.round_trip = _first(self.round_trip, value, part, "round trip or one way")

    def _switched_off(self, metric: Part, others: dict[str, Part]) -> None:
        no, none = others.pop("NO", None), others.pop("NONE", None)
        if no is None and none is None:
            raise metric.error(f"{metric.text!r} without a figure", _UNIT_OF[metric.kind])
        if metric.kind not in ("DELAY", "JITTER", "LOSS", "AVAILABILITY"):
            raise metric.error(f"{metric.text!r} cannot be switched off", _UNIT_OF[metric.kind])
        if no is not None and metric.kind in ("LOSS", "DELAY"):
            word = metric.kind.lower()
            raise no.error(
                f"'{no.text} {metric.text}' could mean none at all or no bound",
                expected=_UNIT_OF[metric.kind],
                remedy=f"write '{word} none' to ask for no bound",
            )
        self._once({"DELAY": "delay_s", "JITTER": "jitter_s"}.get(metric.kind, metric.kind.lower()), OFF, metric)

    def _flags(self, parts: dict[str, Part]) -> None:
        self._way(parts)
        for kind, value in (("PROTECTED", "required"), ("UNPROTECTED", "none")):
            part = parts.pop(kind, None)
            if part is not None:
                self.protection = _first(self.protection, value, part, "protection")
        if "ONLY" in parts and ("FORWARD" in parts) != ("REVERSE" in parts):
            side = "FORWARD" if "FORWARD" in parts else "REVERSE"
            del parts[side]
            self._only(parts.pop("ONLY"), "forward" if side == "FORWARD" else "reverse")

    def _only(self, part: Part, side: Literal["forward", "reverse"]) -> None:
        self.direction = _first(self.direction, side, part, "direction")


def _whole(amount: Part) -> int | str:
    return int(amount.text) if amount.text.isdecimal() else amount.text


def _first(old: Any, new: Any, part: Part, what: str) -> Any:
    if old is not None:
        raise part.error(f"{what} is stated twice", remedy="keep one of them")
    return new


def _shown(amount: Part) -> str:
    return f"{amount.text} {amount.unit}".strip()


def _dimension(amount: Part) -> str:
    unit = amount.unit
    for units, dimension in ((DURATION_UNITS, "time"), (RATE_UNITS, "rate"), (SIZE_UNITS, "size")):
        if unit in units:
            return dimension
    if unit in ("", "%"):
        return "percent" if unit else "bare"
    known = [*DURATION_UNITS, *RATE_UNITS, *SIZE_UNITS, "%"]
    near = [name for name in known if name.casefold() == unit.casefold()] or get_close_matches(
        unit, known, n=2, cutoff=0.5
    )
    raise amount.error(
        f"unknown unit {unit[:20]!r}",
        expected="a unit such as ms, Mbps, KB or %",
        remedy=f"did you mean {' or '.join(near)}?" if near else None,
    )
