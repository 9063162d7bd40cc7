"""`carelane probe`: a STAMP reflector, and a sender that reports what it measures to the server."""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from carelane.cli._client import Client
from carelane.cli._exit import Exit, tell, warn
from carelane.cli._output import Format, emit_text
from carelane.cli._remote import seconds
from carelane.controller.telemetry.clock import UNKEPT_S, clock_error_s
from carelane.controller.telemetry.probes import ProbeReport
from carelane.controller.telemetry.stamp import Exchange, probe, reflect, summary
from carelane.errors import InputError, TransientError
from carelane.intents.catalogue import CATALOGUE
from carelane.policies.classes import CLASSES, STANDARD

__all__ = ["Probing", "run_probe", "run_respond"]

_LISTEN_S = 0.5
_LEAST_INTERVAL_S = 0.001
_MOST_PACKETS = 100_000


@dataclass(frozen=True, slots=True)
class Probing:
    """The options of `carelane probe run`; durations as they were written."""

    slice_name: str
    source: str
    to: str
    target: str
    port: int
    bind: str | None
    interval: str
    every: str
    reports: int | None
    dscp: int | None
    clock_error: str | None


def run_respond(address: str, port: int, clock_error: str | None, *, stop: Callable[[], bool] = lambda: False) -> Exit:
    """Answer until `stop`. Raises InputError for an address that cannot be listened on."""
    error_s = _clock_error(clock_error)
    with _door(address, port, "--address") as door:
        door.settimeout(_LISTEN_S)
        tell(f"carelane: answering probes at {address} port {port}")
        reflect(door, stop, clock_error_s=error_s)
    return Exit.DONE


def run_probe(url: str | None, wanted: Probing, *, output: Format) -> Exit:
    """Probe and report, round by round.

    A server that cannot be reached loses reports, which makes the objective unknown, and is tried again; one that
    refuses a report ends it. Raises InputError, NotFoundError, ServerUnavailable before the first round.
    """
    if output == "yaml":
        raise InputError("a stream has no YAML form", field="-o", expected="json or table")
    interval_s, every_s = seconds(wanted.interval, "--interval"), seconds(wanted.every, "--every")
    count = math.floor(every_s / interval_s) if interval_s >= _LEAST_INTERVAL_S else 0
    if not 1 <= count <= _MOST_PACKETS:
        raise InputError(f"a packet every {wanted.interval} and a report every {wanted.every}", field="--interval",
                         expected=f"1ms or more, and 1 to {_MOST_PACKETS} packets a report")  # fmt: skip
    error_s, client = _clock_error(wanted.clock_error), Client.at(url)
    dscp = _dscp(client, wanted.slice_name) if wanted.dscp is None else wanted.dscp
    returned, rounds = 0, 0
    with _door(wanted.bind or "0.0.0.0", 0, "--bind") as door:  # noqa: S104 - the route decides
        while wanted.reports is None or rounds < wanted.reports:
            try:
                sent, exchanges = probe(
                    door,
                    (wanted.target, wanted.port),
                    count=count,
                    interval_s=interval_s,
                    dscp=dscp,
                    clock_error_s=error_s,
                )
            except OSError as error:
                raise InputError(f"no probe can be sent to {wanted.target}: {error}", field="--target",
                                 expected="an IPv4 address that this machine has a route to") from error  # fmt: skip
            rounds, returned = rounds + 1, returned + len(exchanges)
            _report(client, wanted, sent, exchanges, output)
    return Exit.DONE if returned else Exit.BROKEN


def _report(client: Client, wanted: Probing, sent: int, exchanges: Sequence[Exchange], output: Format) -> None:
    there = summary(wanted.slice_name, wanted.source, wanted.to, sent, exchanges)
    back = summary(wanted.slice_name, wanted.source, wanted.to, sent, exchanges, back=True)
    for report in (there, back) if exchanges else (there,):
        body = asdict(report)
        emit_text(json.dumps(body) if output == "json" else _line(report))
        try:
            client.post("v1", "probes", body=json.dumps(body).encode(), media_type="application/json")
        except TransientError as error:
            warn(f"report lost: {error}")


def _line(report: ProbeReport) -> str:
    ends = f"{report.slice} {report.source} > {report.target}"
    if not report.received:
        return f"{ends}  {report.sent} sent, none came back"
    return (
        f"{ends}  delay {report.delay_min_s * 1e3:.3f} to {report.delay_max_s * 1e3:.3f} ms "
        f"(clocks within {report.clock_error_s * 1e3:.3g} ms), jitter {report.jitter_s * 1e3:.3f} ms, "
        f"{report.sent - report.received} of {report.sent} lost"
    )


def _dscp(client: Client, name: str) -> int:
    """Of the slice's class; the edge switch marks packets by slice in any case."""
    service = CATALOGUE.get(client.get("v1", "intents", name)["manifest"]["spec"]["service"])
    return (CLASSES[service.traffic_class] if service else STANDARD).dscp


def _clock_error(text: str | None) -> float:
    if text is not None:
        return seconds(text, "--clock-error")
    found = clock_error_s()
    if found >= UNKEPT_S:
        warn("nobody keeps this machine's clock: one-way delays stay unknown; run an NTP or PTP client")
    return found


def _door(address: str, port: int, option: str) -> socket.socket:
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        door.bind((address, port))
    except (OSError, UnicodeError) as error:
        door.close()
        raise InputError(f"{address} port {port}: {error}", field=option,
                         expected="a free port of an IPv4 address of this machine") from error  # fmt: skip
    return door
