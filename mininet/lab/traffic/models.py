"""Traffic models as data: each gives an endless schedule of (time, packet size), the same for the same seed.

Times are nanoseconds from the flow's start, sizes are bytes of the IP packet (headers included). Sources: 3GPP TR
38.838 section 5 (video frames), haptic control at 1 kHz with 48 bytes of payload and 40 of RTP/UDP/IP headers, and
the service catalogue's figures for consultation screens, wearables and imaging.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

from carelane.errors import InputError

__all__ = ["AUDIO", "HAPTIC", "IP_UDP_BYTES", "MIN_IP_BYTES", "SCREEN_BPS", "Model", "Periodic", "Video", "Wearable"]
__all__ += ["TcpTransfer", "flood", "imaging", "model_from_json", "model_to_json", "screen", "surgery_video"]

IP_UDP_BYTES = 28
# The probe header (see carelane.lab.traffic.packet) must fit behind the IP and UDP headers.
MIN_IP_BYTES = IP_UDP_BYTES + 24
_MAX_IP_BYTES = 1500
_NS = 1_000_000_000
SCREEN_BPS = 4_000_000
_ALARM_SPREAD_S = 0.1


class Model(Protocol):
    """One source of packets."""

    kind: ClassVar[str]

    def packets(self, rng: random.Random) -> Iterator[tuple[int, int]]:
        """(nanoseconds from start, bytes of the IP packet), in order of time, without end."""
        ...


def _check_size(ip_bytes: int) -> None:
    if not MIN_IP_BYTES <= ip_bytes <= _MAX_IP_BYTES:
        raise InputError(f"packet of {ip_bytes} bytes", expected=f"{MIN_IP_BYTES} to {_MAX_IP_BYTES}")


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise InputError(f"{name} is {value}", field=name, expected="more than 0")


@dataclass(frozen=True, slots=True)
class Periodic:
    """One packet every `period_s`: haptic control, audio, floods."""

    kind: ClassVar[str] = "periodic"
    period_s: float
    ip_bytes: int

    def __post_init__(self) -> None:
        _check_size(self.ip_bytes)
        _check_positive("period_s", self.period_s)

    def packets(self, rng: random.Random) -> Iterator[tuple[int, int]]:
        del rng  # nothing random about it
        number = 0
        while True:
            yield round(number * self.period_s * _NS), self.ip_bytes
            number += 1


@dataclass(frozen=True, slots=True)
class Video:
    """Frames at a fixed rate, sizes truncated Gaussian, every `gop`-th an I-frame of `i_ratio` times a P-frame.

    TR 38.838: mean rate / fps / 8 bytes, sigma 10.5% of the mean, between 50% and 150% of it. I-frames fall on frame
    0, gop, 2 gop...: sources started together have theirs together, the burst that matters. A frame's packets leave
    within `spread` of the frame interval (0: all at once, as an encoder hands them over).
    """

    kind: ClassVar[str] = "video"
    rate_bps: int
    fps: float = 30.0
    packet_bytes: int = 1100
    gop: int = 30
    i_ratio: float = 1.75
    sigma: float = 0.105
    spread: float = 0.0

    def __post_init__(self) -> None:
        _check_size(self.packet_bytes)
        for name in ("rate_bps", "fps", "gop", "i_ratio"):
            _check_positive(name, float(getattr(self, name)))
        if not 0 <= self.spread < 1:
            raise InputError(f"spread {self.spread}", field="spread", expected="0 up to, not including, 1")

    def packets(self, rng: random.Random) -> Iterator[tuple[int, int]]:
        mean = self.rate_bps / self.fps / 8
        p_mean = mean * self.gop / (self.gop - 1 + self.i_ratio)
        frame = 0
        while True:
            start = frame * _NS / self.fps
            scale = _truncated_gaussian(rng, self.sigma)
            size = p_mean * scale * (self.i_ratio if frame % self.gop == 0 else 1.0)
            sizes = _split(round(size), self.packet_bytes)
            gap = self.spread * _NS / self.fps / len(sizes)
            for index, ip_bytes in enumerate(sizes):
                yield round(start + index * gap), ip_bytes
            frame += 1


@dataclass(frozen=True, slots=True)
class Wearable:
    """18 kbit/s of vital signs, and alarms that come in clusters.

    Devices sharing `cluster_seed` raise their alarms together: clusters arrive as a Poisson process, on average every
    `cluster_s` seconds, and each device then sends `alarm_packets` within 100 ms on top of its steady stream.
    """

    kind: ClassVar[str] = "wearable"
    rate_bps: int = 18_000
    ip_bytes: int = 225
    cluster_s: float = 10.0
    alarm_packets: int = 5
    cluster_seed: int = 0

    def __post_init__(self) -> None:
        _check_size(self.ip_bytes)
        for name in ("rate_bps", "cluster_s"):
            _check_positive(name, float(getattr(self, name)))

    def packets(self, rng: random.Random) -> Iterator[tuple[int, int]]:
        steady = Periodic(period_s=self.ip_bytes * 8 / self.rate_bps, ip_bytes=self.ip_bytes)
        return heapq.merge(steady.packets(rng), self._alarms(rng))

    def _alarms(self, rng: random.Random) -> Iterator[tuple[int, int]]:
        clusters = random.Random(self.cluster_seed)  # noqa: S311 - a model, not a secret
        cluster = last = 0.0
        while True:
            cluster += clusters.expovariate(1 / self.cluster_s)
            for offset in sorted(rng.uniform(0, _ALARM_SPREAD_S) for _ in range(self.alarm_packets)):
                last = max(last, cluster + offset)  # clusters may overlap
                yield round(last * _NS), self.ip_bytes


@dataclass(frozen=True, slots=True)
class TcpTransfer:
    """A file pushed over TCP as fast as congestion control allows; its end is measured, not its packets."""

    kind: ClassVar[str] = "tcp"
    size_bytes: int

    def __post_init__(self) -> None:
        _check_positive("size_bytes", self.size_bytes)

    def packets(self, rng: random.Random) -> Iterator[tuple[int, int]]:
        del rng
        raise InputError("a TCP transfer has no packet schedule of its own")


HAPTIC = Periodic(period_s=0.001, ip_bytes=88)
AUDIO = Periodic(period_s=0.020, ip_bytes=220)


def screen(rate_bps: int = SCREEN_BPS) -> Video:
    """A consultation screen: 4 Mbit/s, 30 frames/s, packets of up to 1100 bytes."""
    return Video(rate_bps=rate_bps)


def surgery_video(rate_bps: int) -> Video:
    """Surgical video at 60 frames/s, paced over half the frame interval as a hardware encoder does."""
    return Video(rate_bps=rate_bps, fps=60.0, gop=60, spread=0.5)


def flood(rate_bps: int, ip_bytes: int = 1400) -> Periodic:
    """A plain flood, evenly paced."""
    return Periodic(period_s=ip_bytes * 8 / rate_bps, ip_bytes=ip_bytes)


def imaging(rate_bps: int) -> Periodic:
    """A DICOM transfer paced by its application (angiography is 7.5 MB/s for a minute, CT slices 0.52 MB each)."""
    return Periodic(period_s=1500 * 8 / rate_bps, ip_bytes=1500)


_KINDS: dict[str, type[Any]] = {cls.kind: cls for cls in (Periodic, Video, Wearable, TcpTransfer)}


def model_to_json(model: Model) -> dict[str, Any]:
    """Plain data, with the kind named."""
    return {"kind": model.kind, **asdict(model)}  # type: ignore[call-overload]


def model_from_json(data: dict[str, Any]) -> Model:
    """The inverse of `model_to_json`. Raises `InputError`."""
    fields = dict(data)
    cls = _KINDS.get(str(fields.pop("kind", None)))
    if cls is None:
        raise InputError(f"no traffic model {data.get('kind')!r}", expected=", ".join(sorted(_KINDS)))
    try:
        model: Model = cls(**fields)
    except TypeError as error:
        raise InputError(f"traffic model {data['kind']}: {error}") from error
    return model


def _truncated_gaussian(rng: random.Random, sigma: float) -> float:
    while True:
        value = rng.gauss(1.0, sigma)
        if 0.5 <= value <= 1.5:
            return value


def _split(size: int, limit: int) -> list[int]:
    """Equal packets of at most `limit` bytes, each big enough for the probe header."""
    count = max(1, math.ceil(size / limit))
    base, extra = divmod(max(size, count * MIN_IP_BYTES), count)
    return [base + (1 if index < extra else 0) for index in range(count)]
