"""What a probe at a site reports: one-way delay, jitter and loss of packets that travelled inside a slice."""

from __future__ import annotations

import math
from dataclasses import dataclass

from carelane.errors import InputError

__all__ = ["ProbeReport"]

_MAX_PACKETS = 10_000_000


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """One interval of one probe (RFC 8762 terms: session sender `source`, reflector `target`).

    Times in seconds. `delay_max_s` and `delay_min_s` are one way, by the two ends' clocks; `clock_error_s` is how far
    those clocks may be apart by the probe's own account. `round_trip_min_s` needs one clock only and bounds what the
    one-way figures can be. Raises InputError for what cannot be.
    """

    slice: str
    source: str
    target: str
    sent: int
    received: int
    delay_min_s: float
    delay_max_s: float
    jitter_s: float
    round_trip_min_s: float
    clock_error_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.received <= self.sent <= _MAX_PACKETS:
            raise InputError(f"{self.received} of {self.sent} probe packets received", field="received",
                             expected="no more than were sent")  # fmt: skip
        for name in ("delay_min_s", "delay_max_s", "jitter_s", "round_trip_min_s", "clock_error_s"):
            if not math.isfinite(getattr(self, name)):
                raise InputError(f"{name} is {getattr(self, name)}", field=name, expected="a number of seconds")
        if self.jitter_s < 0 or self.clock_error_s < 0 or self.delay_min_s > self.delay_max_s:
            raise InputError("a jitter or clock error below 0, or a least delay above the largest", field="delay_min_s")

    def doubt(self, propagation_s: float) -> str | None:
        """Why these figures cannot be true, or None. `propagation_s`: what light alone takes one way."""
        least = self.delay_min_s + self.clock_error_s
        if self.received and least < propagation_s * 0.99:
            return (
                f"reports {self.delay_min_s * 1e3:.3g} ms one way, light alone takes {propagation_s * 1e3:.3g} ms: "
                "its clock disagrees, or it does not tell the truth"
            )
        if self.received and self.delay_min_s - self.clock_error_s > self.round_trip_min_s:
            return (
                f"reports {self.delay_min_s * 1e3:.3g} ms one way and {self.round_trip_min_s * 1e3:.3g} ms there and "
                "back: clocks disagree"
            )
        return None
