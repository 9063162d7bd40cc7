"""How large a meter's bucket must be so that it never drops what keeps to its declaration."""

from __future__ import annotations

from dataclasses import dataclass

from carelane.controller.pipeline.requirement import Requirement

__all__ = ["Bucket", "forward_bucket", "police", "reverse_bucket"]

_CLOCK_TICKS = 2


@dataclass(frozen=True, slots=True)
class Bucket:
    """A policer in OpenFlow's units. What passes it is bounded by `rate_kbps` and `burst_kb`, not by less."""

    rate_kbps: int
    burst_kb: int

    @property
    def burst_bits(self) -> int:
        return self.burst_kb * 1000


def police(rate_bps: int, burst_bytes: int, max_packet_bytes: int) -> Bucket:
    """The policer of a flow declared as a token bucket (RFC 2215 section 3) of `rate_bps` and `burst_bytes`.

    The rate is rounded up to OpenFlow's kbit/s. The bucket holds the declared burst, two packets of the largest
    size (the kernel demands room for the whole packet and counts from whole packets on both ends) and what arrives
    in two milliseconds: Open vSwitch refills meters by whole milliseconds, and after an idle time it refills at
    most floor(bucket / rate) whole milliseconds' worth, which is nothing for a bucket of less than one
    (net/openvswitch/meter.c, ovs_meter_execute and dp_meter_create).
    """
    rate_kbps = max(1, _ceil(rate_bps, 1000))
    burst_kb = _ceil((burst_bytes + 2 * max_packet_bytes) * 8, 1000) + _ceil(_CLOCK_TICKS * rate_kbps, 1000)
    return Bucket(rate_kbps, burst_kb)


def forward_bucket(requirement: Requirement) -> Bucket:
    """What polices a source; for point to multipoint the one bucket that all its traffic shares."""
    return police(requirement.forward_bps, requirement.burst_bytes, requirement.max_packet_bytes)


def reverse_bucket(requirement: Requirement) -> Bucket:
    """What polices a destination; for point to multipoint an equal part, and never less than one packet of burst."""
    parts = len(requirement.pairs) if requirement.connectivity == "point-to-multipoint" else 1
    burst_bytes = max(_ceil(requirement.burst_bytes, parts), requirement.max_packet_bytes)
    return police(_ceil(requirement.reverse_bps, parts), burst_bytes, requirement.max_packet_bytes)


def _ceil(amount: int, unit: int) -> int:
    return -(-amount // unit)
