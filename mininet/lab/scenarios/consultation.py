"""The small region of the sharing scenarios: two islands, a harbour, a city behind one 20 Mbit/s cable.

A surgery from the first island, consultation stations on both, a genome transfer: declared as intents in three ways
(by mean with sharing, by mean alone, by peak), and what they really send.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from carelane.lab.traffic.models import AUDIO, HAPTIC, Model, Periodic, Video, flood
from carelane.lab.traffic.packet import ETHERNET_BYTES
from carelane.lab.traffic.plan import Bucket, Flow, TrafficPlan
from carelane.topology import Topology, parse_topology

__all__ = [
    "BULK",
    "HUB",
    "MEAN_BPS",
    "PEAK_BPS",
    "ROGUE",
    "SURGERY",
    "Declared",
    "Misconduct",
    "Script",
    "Speech",
    "region",
    "station",
    "traffic",
]

MEAN_BPS = 850_000
PEAK_BPS = 4_400_000
_BULK_FLOOR_BPS = 1_000_000
_LISTEN_BPS = 700_000
_BURST_BYTES = 6_700
SURGERY = ("surgery: patient to surgeon", "surgery: surgeon to patient")
_PATIENT, _SURGEON, HUB = "island-a/or", "city/console", "city/hub"
_SCAN, _ARCHIVE, _MONITOR, _WARD = "island-b/scan", "city/archive", "island-a/monitor", "city/ward"
ROGUE = "island-a/rogue"
_WITHIN_BPS = 300_000
# As a device paces itself: a sender that was late must not burst beyond its contract.
_PACED = Bucket(480_000, 2 * (300 + ETHERNET_BYTES))
BULK = (_SCAN, _ARCHIVE)
STATIONS = 10


def station(number: int) -> str:
    """Stations 1 to 10, in turn on the two islands."""
    return f"island-{'ab'[(number - 1) % 2]}/s{number:02}"


def region() -> Topology:
    """Wires of 200 km (1 ms), every link 20 Mbit/s; the cable from harbour to city is where all meet."""
    ends = [_PATIENT, _MONITOR, ROGUE, _SCAN, *map(station, range(1, STATIONS + 1)), _SURGEON, HUB, _ARCHIVE, _WARD]
    lines = [
        "apiVersion: carelane/v1\nkind: Topology\nmetadata: {name: two-islands}\nspec:\n  nodes:",
        *(f"    - {{id: {node}, kind: switch}}" for node in ("island-a", "island-b", "harbour", "city")),
        "  links:",
        *(
            f"    - {{id: {a}--{b}, a: {a}, b: {b}, capacity: 20Mbps, length: 200km}}"
            for a, b in (("island-a", "harbour"), ("island-b", "harbour"), ("harbour", "city"))
        ),
        "  endpoints:",
        *(
            f"    - {{id: {end}, node: {end.split('/')[0]}, address: 10.7.0.{n}/32, "
            f'mac: "02:00:00:00:07:{n:02}", capacity: {"100Mbps" if end == HUB else "50Mbps"}}}'
            for n, end in enumerate(ends, 11)
        ),
    ]
    return parse_topology("\n".join(lines) + "\n")


@dataclass(frozen=True, slots=True)
class Declared:
    """The intents of one way to declare: each station by itself, so that some can be refused and others not."""

    station_bps: int
    stations: int = STATIONS
    rogue: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        rogue = ("rogue",) if self.rogue else ()
        return (
            "surgery",
            "monitor",
            *rogue,
            "genome",
            *(f"consult-{number:02}" for number in range(1, self.stations + 1)),
        )

    def manifest(self) -> str:
        """Surgery first, then consultation in order, then the genome."""
        burst = max(_BURST_BYTES, _BURST_BYTES * self.station_bps // MEAN_BPS)
        text = _intent("surgery", "remote-surgery", _PATIENT, _SURGEON, "delay: 20ms, jitter: 10ms, loss: 0.01%")
        for name, source in (("monitor", _MONITOR), ("rogue", ROGUE)):
            if name in self.names:
                asked = "bandwidth: 500kbps, delay: 100ms"
                text += _intent(name, "remote-monitoring", source, _WARD, asked, "direction: forward")
        for number in range(1, self.stations + 1):
            text += _intent(
                f"consult-{number:02}",
                "video-conference",
                station(number),
                HUB,
                f"bandwidth: {self.station_bps // 1000}kbps, delay: 150ms, jitter: none, loss: 1%",
                f"direction: forward\n  burst: {burst}B",
            )
        # The way back carries TCP's acknowledgements.
        bulk = f"bandwidth: {{forward: {_BULK_FLOOR_BPS // 1_000_000}Mbps, reverse: 200kbps}}"
        return text + _intent("genome", "genome-transfer", _SCAN, _ARCHIVE, bulk)


def _intent(name: str, service: str, source: str, to: str, objectives: str, more: str = "protection: none") -> str:
    return (
        f"---\napiVersion: carelane/v1\nkind: ServiceIntent\nmetadata: {{name: {name}, tenant: region}}\n"
        f"spec:\n  service: {service}\n  from: [{source}]\n  to: [{to}]\n  {more}\n"
        f"  objectives: {{{objectives}, availability: none}}\n"
    )


@dataclass(frozen=True, slots=True)
class Speech:
    """A station's screen at `rate_bps` on top of its listening, or a plain flood where it is not video."""

    number: int
    start_s: float
    end_s: float
    rate_bps: int
    video: bool = True


@dataclass(frozen=True, slots=True)
class Misconduct:
    """What a monitor of its own does beside its 300 kbit/s of a contract of 500: more than that between two moments,
    then packets to the surgeon that claim to come from the patient. Times in seconds."""

    beyond_s: tuple[float, float]
    beyond_bps: int
    forged_s: tuple[float, float]
    forged_bps: int


@dataclass(frozen=True, slots=True)
class Script:
    """What a scenario sends. `bulk` goes into the genome's slice."""

    seconds: float
    stations: int
    speeches: tuple[Speech, ...]
    bulk: Model | None = field(default_factory=lambda: flood(12_000_000))
    join_s: float = 2.0
    rogue: Misconduct | None = None


def traffic(script: Script, seed: int) -> TrafficPlan:
    """The surgery is under way and the bulk runs when the stations join together, I-frames aligned."""
    end = script.seconds
    bucket = Bucket(5_200_000, 1_500)
    measured = [
        Flow(name, source, to, HAPTIC, 46, 1.0, end - 1.0, realtime=True, bucket=bucket)
        for name, source, to in zip(SURGERY, (_PATIENT, _SURGEON), (_SURGEON, _PATIENT), strict=True)
    ]
    for number in range(1, script.stations + 1):
        lasting = end - script.join_s
        common = {"source": station(number), "target": HUB, "start_s": script.join_s, "duration_s": lasting}
        measured.append(Flow(f"{station(number)}/screen", model=_screen(_LISTEN_BPS), dscp=34, **common))  # type: ignore[arg-type]
        measured.append(Flow(f"{station(number)}/audio", model=AUDIO, dscp=34, **common))  # type: ignore[arg-type]
    for index, speech in enumerate(script.speeches):
        model = _screen(speech.rate_bps) if speech.video else flood(speech.rate_bps, 1100)
        name = f"{station(speech.number)}/speech-{index}"
        lasting = speech.end_s - speech.start_s
        measured.append(Flow(name, station(speech.number), HUB, model, 34, speech.start_s, lasting))
    vital = flood(_WITHIN_BPS, 300)
    measured.append(Flow("monitor", _MONITOR, _WARD, vital, 18, 1.0, end - 1.0, bucket=_PACED))
    rest = [*_misconduct(script.rogue, end)] if script.rogue else []
    if script.bulk is not None:
        rest.append(Flow("bulk", _SCAN, _ARCHIVE, script.bulk, 8, 1.0, end - 1.0, measured=False))
    return TrafficPlan((*_openings(measured), *measured, *rest), seed)


def _misconduct(rogue: Misconduct, end_s: float) -> Iterator[Flow]:
    """The rogue's flows; they are no measure of anything but of what gets through."""
    begin, over = rogue.beyond_s
    yield Flow("rogue", ROGUE, _WARD, flood(_WITHIN_BPS, 300), 18, 1.0, end_s - 1.0, bucket=_PACED)
    yield Flow("rogue beyond", ROGUE, _WARD, flood(rogue.beyond_bps, 300), 18, begin, over - begin)
    begin, over = rogue.forged_s
    model = flood(rogue.forged_bps, 300)
    yield Flow("rogue forged", ROGUE, _SURGEON, model, 46, begin, over - begin, claims=_PATIENT)


def _screen(rate_bps: int) -> Video:
    return Video(rate_bps=rate_bps)


def _openings(flows: Sequence[Flow]) -> list[Flow]:
    """Keep-alives until each pair's first flow starts: the first packet of a flow visits ovs-vswitchd."""
    first: dict[tuple[str, str], Flow] = {}
    for flow in flows:
        first.setdefault((flow.source, flow.target), flow)
    keep_alive = Periodic(period_s=0.1, ip_bytes=88)
    return [
        Flow(f"opening {flow.name}", flow.source, flow.target, keep_alive, flow.dscp, 0.0, max(0.3, flow.start_s - 0.2))
        for flow in first.values()
    ]
