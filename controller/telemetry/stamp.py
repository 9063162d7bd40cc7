"""Site probes in the format of STAMP (RFC 8762, unauthenticated mode): one-way delay, jitter and loss inside a slice.

A *reflector* at one site returns each test packet with the moments at which it arrived and left; a *sender* at
another sends them with the slice's DSCP and works out both directions from the four timestamps. One-way figures are as
good as the two clocks agree, which both ends say of themselves (the error estimate of RFC 4656 section 4.1.2); the
round trip needs one clock only. Packets are 44 bytes each way and never larger than what they answer, so that a
reflector cannot be used to amplify traffic.
"""

from __future__ import annotations

import math
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from carelane.controller.telemetry.clock import UNKEPT_S
from carelane.controller.telemetry.probes import ProbeReport
from carelane.errors import InputError

__all__ = ["PORT", "Exchange", "probe", "reflect", "summary"]

PORT = 862
"""STAMP's UDP port (RFC 8762 section 4.1)."""

_SENDER = struct.Struct("!IQH30x")
_REFLECTED = struct.Struct("!IQH2xQIQH2xB3x")
_NTP_EPOCH_S = 2_208_988_800
_FRACTION = 1 << 32
_ERROR_SCALE_BITS = 8


def _ntp(at_s: float) -> int:
    """64-bit NTP format: seconds since 1900, and their fraction (RFC 5905 section 6)."""
    return int((at_s + _NTP_EPOCH_S) * _FRACTION) & (_FRACTION * _FRACTION - 1)


def _seconds(stamp: int) -> float:
    return stamp / _FRACTION - _NTP_EPOCH_S


def _error_estimate(error_s: float) -> int:
    """Scale and multiplier with multiplier * 2^(scale - 32) seconds at least `error_s`; the synchronised bit is set
    for a clock that somebody keeps."""
    scale, multiplier = 0, max(1, math.ceil(error_s * _FRACTION))
    while multiplier > 0xFF:
        scale, multiplier = scale + 1, -(-multiplier // 2)
    return (0x8000 if error_s < UNKEPT_S else 0) | min(scale, 0x3F) << _ERROR_SCALE_BITS | multiplier


def _error_s(estimate: int) -> float:
    scale = (estimate >> _ERROR_SCALE_BITS) & 0x3F
    return float((estimate & 0xFF) * 2.0 ** (scale - 32))


@dataclass(frozen=True, slots=True)
class Exchange:
    """The four moments of one packet there and back, by each end's clock, and what both say of their clocks."""

    sequence: int
    sent_s: float
    arrived_s: float
    returned_s: float
    received_s: float
    clock_error_s: float

    @property
    def forward_s(self) -> float:
        return self.arrived_s - self.sent_s

    @property
    def reverse_s(self) -> float:
        return self.received_s - self.returned_s

    @property
    def round_trip_s(self) -> float:
        """Without the time spent in the reflector."""
        return self.received_s - self.sent_s - (self.returned_s - self.arrived_s)


def reflect(
    door: socket.socket, stop: Callable[[], bool], *, clock_error_s: float, now: Callable[[], float] = time.time
) -> int:
    """Answer test packets on a bound UDP socket until `stop`; gives how many were answered.

    What is no test packet is not answered. The socket's timeout decides how often `stop` is asked.
    """
    answered = 0
    estimate = _error_estimate(clock_error_s)
    while not stop():
        try:
            data, peer = door.recvfrom(2048)
        except TimeoutError:
            continue
        arrived = now()
        if len(data) < _SENDER.size:
            continue
        sequence, sent, sender_estimate = _SENDER.unpack_from(data)
        reply = _REFLECTED.pack(sequence, _ntp(now()), estimate, _ntp(arrived), sequence, sent, sender_estimate, 255)
        door.sendto(reply, peer)
        answered += 1
    return answered


@dataclass
class _Session:
    """What was sent and what came back, by sequence number; the first answer counts."""

    sent: dict[int, float] = field(default_factory=dict)
    exchanges: dict[int, Exchange] = field(default_factory=dict)

    def take(self, data: bytes, received_s: float) -> None:
        if len(data) < _REFLECTED.size:
            return
        _, returned, estimate, arrived, sequence, stamp, own, _ = _REFLECTED.unpack_from(data)
        sent_s = self.sent.get(sequence)
        if sent_s is None or sequence in self.exchanges or stamp != _ntp(sent_s):
            return
        error_s = _error_s(estimate) + _error_s(own)
        self.exchanges[sequence] = Exchange(
            sequence, sent_s, _seconds(arrived), _seconds(returned), received_s, error_s
        )


def probe(
    door: socket.socket,
    target: tuple[str, int],
    *,
    count: int,
    interval_s: float,
    dscp: int,
    clock_error_s: float,
    linger_s: float = 1.0,
    now: Callable[[], float] = time.time,
) -> tuple[int, Sequence[Exchange]]:
    """Send `count` test packets at `interval_s` and give how many were sent and what came back, in order.

    Raises InputError for a count or interval that is none, OSError where packets cannot be sent at all.
    """
    if count < 1 or not 0 < interval_s < math.inf:
        raise InputError(f"{count} packets every {interval_s} s", expected="at least one packet, more than 0 s apart")
    door.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
    session, estimate = _Session(), _error_estimate(clock_error_s)
    begun = time.monotonic()
    for sequence in range(count):
        _listen(door, session, begun + sequence * interval_s, now)
        session.sent[sequence] = at_s = _seconds(_ntp(now()))
        door.sendto(_SENDER.pack(sequence, _ntp(at_s), estimate), target)
    _listen(door, session, time.monotonic() + linger_s, now, enough=count)
    return count, [session.exchanges[sequence] for sequence in sorted(session.exchanges)]


def _listen(
    door: socket.socket, session: _Session, until: float, now: Callable[[], float], *, enough: int | None = None
) -> None:
    """Take answers until a moment of the monotonic clock, or until there are `enough`."""
    while (left := until - time.monotonic()) > 0 and len(session.exchanges) != enough:
        door.settimeout(left)
        try:
            data = door.recv(2048)
        except TimeoutError:
            return
        except ConnectionRefusedError:
            continue  # an ICMP error of a reflector that is not there: it counts as lost, like any other silence
        session.take(data, now())


def summary(
    slice_name: str, source: str, target: str, sent: int, exchanges: Sequence[Exchange], *, back: bool = False
) -> ProbeReport:
    """The figures from sender to reflector, or `back`: then of what the reflector sent, which is what arrived there
    and came back, so that no loss is told of this way. Jitter is Y.1541's: the 99.9th percentile less the smallest."""
    delays = sorted(exchange.reverse_s if back else exchange.forward_s for exchange in exchanges)
    ends = (target, source) if back else (source, target)
    if back:
        sent = len(delays)
    if not delays:
        return ProbeReport(slice_name, *ends, sent, 0, 0.0, 0.0, 0.0, 0.0)
    high = delays[min(len(delays) - 1, math.ceil(0.999 * len(delays)) - 1)]
    return ProbeReport(
        slice_name,
        *ends,
        sent,
        len(delays),
        delays[0],
        delays[-1],
        high - delays[0],
        min(exchange.round_trip_s for exchange in exchanges),
        max(exchange.clock_error_s for exchange in exchanges),
    )
