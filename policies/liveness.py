"""How closely the liveness of a link is watched: the interval of BFD (RFC 5880) by class of link.

A link is called dead when three control packets in a row are missing, so a silent failure is noticed within three
intervals. What speaks against a short interval is a watcher that is late itself and takes a living link for dead: in
the lab kernel, whose one processor also forwards, 100 ms held and 20 ms flapped. Slow links take longer still, since
control packets may not fill the least floor of the best-effort queue they travel in (16 kbit/s, of which they may
take half beside link discovery) nor more than a hundredth of the link.
"""

from __future__ import annotations

from carelane.topology.model import Link

__all__ = ["BFD_DETECT_MULTIPLIER", "bfd_interval_ms"]

BFD_DETECT_MULTIPLIER = 3
"""Open vSwitch's own default."""

_INTERVALS_MS = (100, 200, 500, 1000)
_CONTROL_BITS = 66 * 8
_LEAST_FLOOR_BPS = 16_000


def bfd_interval_ms(link: Link) -> int:
    """Milliseconds between control packets on `link`: the shortest of 100, 200, 500 and 1000 that the link bears."""
    allowed_bps = _LEAST_FLOOR_BPS / 2
    if link.capacity_bps is not None:
        allowed_bps = min(allowed_bps, link.capacity_bps / 100)
    return next((ms for ms in _INTERVALS_MS if _CONTROL_BITS * 1000 / ms <= allowed_bps), _INTERVALS_MS[-1])
