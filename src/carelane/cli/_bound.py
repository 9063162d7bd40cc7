"""`carelane bound`: worst-case delays of a plain network of servers and flows."""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from carelane.cli._exit import Exit, tell, warn
from carelane.cli._output import Format, emit, emit_rows, emit_text
from carelane.documents import read_bounded
from carelane.topology.calculus import Analysis, Bounds, Multiplexing, Propagation, delay_bounds, parse_network

__all__ = ["run_bound"]

_UP = Context(prec=15, rounding=ROUND_CEILING)


def run_bound(
    file: str,
    analysis: Analysis,
    multiplexing: Multiplexing,
    *,
    line_shaping: bool,
    propagation: Propagation,
    details: bool,
    output: Format,
) -> Exit:
    """Print each flow's bound; exit 1 when some flow has none. Raises InputError."""
    network = parse_network(read_bounded(Path(file), "network"), file)
    if line_shaping and all(server.peak is None for server in network.servers.values()):
        warn("no server states a peak, so --line-shaping changes nothing")
    bounds = delay_bounds(network, analysis, multiplexing, line_shaping=line_shaping, propagation=propagation)
    plain = {flow: _up(bound.delay) for flow, bound in bounds.flows.items()}
    emit(_details(bounds) if details else plain, output, lambda: _print_table(bounds))
    unbounded = {flow: bound.reason for flow, bound in bounds.flows.items() if bound.delay is None}
    for flow, reason in unbounded.items():
        tell(f"no bound for {flow}: {reason}")
    return Exit.BROKEN if unbounded else Exit.DONE


def _up(exact: Fraction | None) -> float | None:
    """Fifteen digits, rounded up: a bound is never shown smaller than it is."""
    if exact is None:
        return None
    return float(_UP.divide(Decimal(exact.numerator), Decimal(exact.denominator)))


def _exact(exact: Fraction | None) -> str | None:
    """The fraction, unless nobody would read it."""
    text = None if exact is None else str(exact)
    return text if text is not None and len(text) <= 40 else None


def _details(bounds: Bounds) -> dict[str, Any]:
    return {
        "propagation": bounds.propagation,
        "flows": {
            flow: {"delay": _up(bound.delay), "exact": _exact(bound.delay), "reason": bound.reason}
            for flow, bound in bounds.flows.items()
        },
        "servers": {server: {"delay": _up(delay), "exact": _exact(delay)} for server, delay in bounds.servers.items()},
    }


def _print_table(bounds: Bounds) -> None:
    emit_rows(
        ("FLOW", "DELAY", "EXACT"),
        ((flow, _shown(bound.delay), _exact(bound.delay) or "-") for flow, bound in bounds.flows.items()),
    )
    if bounds.servers:
        emit_text("")
        emit_rows(
            ("SERVER", "DELAY", "EXACT"),
            ((server, _shown(delay), _exact(delay) or "-") for server, delay in bounds.servers.items()),
        )


def _shown(exact: Fraction | None) -> str:
    return "no bound" if exact is None else str(_up(exact))
