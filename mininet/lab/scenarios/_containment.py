"""What became of a source that sends too much, and then forges: held at its port, named in the log, released."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np

from carelane.lab.report import Check
from carelane.lab.samples import RunSamples
from carelane.lab.scenarios.consultation import ROGUE, Misconduct
from carelane.lab.traffic.packet import ETHERNET_BYTES

__all__ = ["contained", "containment_checks"]

_CONTRACT_BPS = 500_000
_BUCKET_BITS = 37_000
"""A contract is a token bucket: beyond its rate it passes once what the bucket holds. The rogue declares no burst, so
that is three packets of 1500 bytes and two milliseconds of its rate (`police` of the compiler)."""
_RELEASED_EPOCHS = 6
"""Quiet epochs until a source is released (four), and the half second by which flow entries are counted late."""


def contained(run: RunSamples, log: str, rogue: Misconduct) -> Mapping[str, Any]:
    """Figures: what got through, and when the controller named and released the source, from its own log."""
    begun = run.start_ns / 1e9
    figures: dict[str, Any] = {}
    for kind, (begin_s, end_s) in (("beyond-contract", rogue.beyond_s), ("forged-source", rogue.forged_s)):
        events = [(at - begun, event) for at, event in _events(log, kind) if at > begun]
        held = [at for at, event in events if event == "source held"]
        released = [at for at, event in events if event == "source released"]
        figures[kind] = {
            "named_after_s": round(held[0] - begin_s, 3) if held else None,
            "released_after_s": round(released[-1] - end_s, 3) if released else None,
        }
    span_ns = [run.start_ns + round(at * 1e9) for at in rogue.beyond_s]
    through = 0
    for flow in (run.flows["rogue"], run.flows["rogue beyond"]):
        inside = (flow.sent_ns >= span_ns[0]) & (flow.sent_ns < span_ns[1])
        through += int(np.sum(flow.ip_bytes[inside] + ETHERNET_BYTES))
    seconds = rogue.beyond_s[1] - rogue.beyond_s[0]
    figures["beyond-contract"] |= {"seconds": seconds, "delivered_bps": round(through * 8 / seconds)}
    figures["forged-source"] |= {
        "sent": run.flows["rogue forged"].sent,
        "delivered": len(run.flows["rogue forged"].sequence),
    }
    return figures


def _events(log: str, kind: str) -> Iterator[tuple[float, str]]:
    for line in log.splitlines():
        if kind in line and ROGUE in line:
            entry = json.loads(line)
            yield datetime.fromisoformat(entry["timestamp"]).timestamp(), entry["event"]


def containment_checks(figures: Mapping[str, Any], epoch_s: float, interval_s: float) -> list[Check]:
    """`epoch_s` is the product's default epoch, in which a source has to be named; `interval_s` that of this run."""
    beyond, forged = figures["beyond-contract"], figures["forged-source"]
    least = forged["sent"] > 0 and forged["delivered"] == 0
    most_bps = _CONTRACT_BPS + _BUCKET_BITS / beyond["seconds"]
    return [
        Check(
            "a source beyond its contract gets its contract",
            beyond["delivered_bps"] <= most_bps,
            f"{beyond['delivered_bps'] / 1e6:.3f} of {most_bps / 1e6:.3f} Mbit/s, its rate and its bucket once",
        ),
        Check(
            "no forged packet leaves its own port", least, f"{forged['delivered']} of {forged['sent']} were delivered"
        ),
        *(
            Check(
                f"{kind}: named within an epoch, released when it behaves",
                row["named_after_s"] is not None
                and row["named_after_s"] <= epoch_s
                and row["released_after_s"] is not None
                and row["released_after_s"] <= _RELEASED_EPOCHS * interval_s + epoch_s,
                f"named after {row['named_after_s']} s, released after {row['released_after_s']} s",
            )
            for kind, row in (("beyond-contract", beyond), ("forged-source", forged))
        ),
    ]
