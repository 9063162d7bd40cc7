"""Who sends what to whom, when: the declaration that the lab's senders carry out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carelane.errors import InputError
from carelane.lab.traffic.models import (
    AUDIO,
    HAPTIC,
    SCREEN_BPS,
    Model,
    TcpTransfer,
    model_from_json,
    model_to_json,
    screen,
)

__all__ = ["NOISE_FLOW", "Bucket", "Flow", "TrafficPlan", "join_consultation"]

NOISE_FLOW = "carelane-noise"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket in layer-2 terms (as intents declare it): bit/s and bytes."""

    rate_bps: int
    burst_bytes: int


# 220 bytes and an Ethernet header every 20 ms; two packets of depth, so that a sender that was late does not burst.
_VOICE = Bucket(100_000, 2 * 234)


@dataclass(frozen=True, slots=True)
class Flow:
    """One stream of packets between two hosts.

    `realtime` flows are sent by a process that preempts all others; `measured` ones have every packet's delay kept
    (others are only counted). `bucket` holds a sender to a declared token bucket whatever the scheduler does. `claims`
    names a host whose address the packets bear in place of the sender's own: forged packets.
    """

    name: str
    source: str
    target: str
    model: Model
    dscp: int = 0
    start_s: float = 0.0
    duration_s: float = 10.0
    realtime: bool = False
    measured: bool = True
    bucket: Bucket | None = None
    claims: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.dscp < 64:
            raise InputError(f"DSCP {self.dscp}", field=f"{self.name}.dscp", expected="0 to 63")
        if self.start_s < 0 or self.duration_s <= 0:
            raise InputError("a flow starts at 0 s or later and lasts more than 0 s", field=self.name)


@dataclass(frozen=True, slots=True)
class TrafficPlan:
    """All flows of one run; the same seed sends the same packets.

    The noise probe beside them sends a packet every `noise_period_s`: a plan that needs the lab kernel's processor for
    the switches asks for fewer.
    """

    flows: tuple[Flow, ...]
    seed: int = 1
    noise_period_s: float = HAPTIC.period_s

    def __post_init__(self) -> None:
        names = [flow.name for flow in self.flows]
        if len(set(names)) != len(names) or NOISE_FLOW in names:
            raise InputError("flow names must be unique", field="flows", expected=f"no two alike, none {NOISE_FLOW!r}")
        if not names:
            raise InputError("a traffic plan needs a flow", field="flows")

    @property
    def duration_s(self) -> float:
        """From the start to the end of the last flow. A TCP transfer may take longer than it was given."""
        return max(flow.start_s + flow.duration_s for flow in self.flows)

    def to_json(self) -> dict[str, Any]:
        """Plain data for the agent."""
        flows = [_flow_to_json(flow) for flow in self.flows]
        return {"seed": self.seed, "noise_period_s": self.noise_period_s, "flows": flows}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrafficPlan:
        """The inverse of `to_json`. Raises `InputError`."""
        try:
            flows = tuple(_flow_from_json(entry) for entry in data["flows"])
            return cls(flows, int(data["seed"]), float(data["noise_period_s"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not a traffic plan: {error}") from error


def join_consultation(
    stations: Sequence[str],
    centre: str,
    *,
    start_s: float,
    duration_s: float,
    rate_bps: int = SCREEN_BPS,
    dscp: int = 34,
    audio_dscp: int = 46,
    buckets: Mapping[str, Bucket] | None = None,
) -> tuple[Flow, ...]:
    """Every station joins on the hour: one screen and one voice each towards the centre, I-frames aligned."""
    flows: list[Flow] = []
    for station in stations:
        bucket = (buckets or {}).get(station)
        common = {"source": station, "target": centre, "start_s": start_s, "duration_s": duration_s}
        flows.append(Flow(f"{station}/screen", model=screen(rate_bps), dscp=dscp, bucket=bucket, **common))  # type: ignore[arg-type]
        flows.append(Flow(f"{station}/audio", model=AUDIO, dscp=audio_dscp, bucket=_VOICE, **common))  # type: ignore[arg-type]
    return tuple(flows)


def _flow_to_json(flow: Flow) -> dict[str, Any]:
    bucket = flow.bucket
    return {
        "name": flow.name,
        "source": flow.source,
        "target": flow.target,
        "model": model_to_json(flow.model),
        "dscp": flow.dscp,
        "start_s": flow.start_s,
        "duration_s": flow.duration_s,
        "realtime": flow.realtime,
        "measured": flow.measured and not isinstance(flow.model, TcpTransfer),
        "bucket": None if bucket is None else [bucket.rate_bps, bucket.burst_bytes],
        "claims": flow.claims,
    }


def _flow_from_json(data: Mapping[str, Any]) -> Flow:
    fields = dict(data)
    bucket = fields.pop("bucket")
    model = model_from_json(fields.pop("model"))
    return Flow(**fields, model=model, bucket=None if bucket is None else Bucket(*bucket))
