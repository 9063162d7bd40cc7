"""The header that every measured packet carries, and the token bucket that a conforming sender keeps to."""

from __future__ import annotations

import struct

__all__ = ["ETHERNET_BYTES", "HEADER", "SAMPLE", "SINK_PORT", "TCP_PORT", "UDP_PORT", "TokenBucket"]

# flow id, sequence number, time of sending (CLOCK_REALTIME ns: the clock of the kernel's receive timestamps)
HEADER = struct.Struct("!IIqQ")
# sequence number, sent, received, bytes of the IP packet: one line of a sample file, native int64
SAMPLE = struct.Struct("=qqqq")

UDP_PORT = 7000
SINK_PORT = 7001
TCP_PORT = 7002
ETHERNET_BYTES = 14


class TokenBucket:
    """A token bucket in real time: a sender that is late may not send its backlog at once, or a meter would drop it.

    Rate in bit/s and depth in bytes, both of layer-2 frames (without the checksum, as a switch's meter counts).
    """

    def __init__(self, rate_bps: int, burst_bytes: int) -> None:
        self._ns_per_byte = 8e9 / rate_bps
        self._depth = float(burst_bytes)
        self._level = self._depth
        self._at_ns = 0

    def ready_at(self, now_ns: int, size_bytes: int) -> int:
        """When a frame of that size conforms: `now_ns` or later. Takes nothing."""
        level = min(self._depth, self._level + (now_ns - self._at_ns) / self._ns_per_byte)
        missing = min(size_bytes, self._depth) - level
        return now_ns if missing <= 0 else now_ns + int(missing * self._ns_per_byte) + 1

    def take(self, now_ns: int, size_bytes: int) -> None:
        """Account for a frame sent now."""
        self._level = min(self._depth, self._level + (now_ns - self._at_ns) / self._ns_per_byte) - size_bytes
        self._at_ns = now_ns
