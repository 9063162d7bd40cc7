"""A packet as far as our matches and actions can see it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from carelane.controller.pipeline.program import Match

__all__ = ["Label", "Packet", "matches", "packet_of"]

IPV4, ARP, IPV6, MPLS = 0x0800, 0x0806, 0x86DD, 0x8847
_PORT_PROTOCOLS = (6, 17, 132)


@dataclass(frozen=True, slots=True)
class Label:
    """An MPLS label stack entry without its time to live."""

    label: int
    tc: int = 0


@dataclass(frozen=True, slots=True)
class Packet:
    """`eth_type` is what lies under the labels; `labels` has the outermost first. Addresses are plain text; those of
    an ARP packet are its protocol addresses. `times` equal packets travel as one train, so that a second of traffic
    is one step.
    """

    eth_type: int = IPV4
    ip_src: str | None = None
    ip_dst: str | None = None
    dscp: int = 0
    eth_src: str = "02:00:00:00:00:01"
    eth_dst: str = "02:00:00:00:00:02"
    ip_proto: int | None = None
    l4_src: int | None = None
    l4_dst: int | None = None
    labels: tuple[Label, ...] = ()
    size_bytes: int = 1514
    times: int = 1

    @property
    def outer_type(self) -> int:
        """The ethertype a switch sees."""
        return MPLS if self.labels else self.eth_type


def matches(match: Match, packet: Packet, in_port: int) -> bool:
    """Whether a packet arriving at `in_port` meets every field that `match` states."""
    return (
        _same(match.in_port, in_port)
        and _same(match.eth_type, packet.outer_type)
        and _same(match.eth_src, packet.eth_src)
        and _same(match.eth_dst, packet.eth_dst)
        and (_matches_label(match, packet) if packet.labels else _matches_payload(match, packet))
    )


def _matches_label(match: Match, packet: Packet) -> bool:
    hidden = (match.ip_src, match.ip_dst, match.ip_proto, match.l4_src, match.l4_dst)
    outer = packet.labels[0]
    return (
        all(field is None for field in hidden)
        and _same(match.mpls_label, outer.label)
        and _same(match.mpls_tc, outer.tc)
    )


def _matches_payload(match: Match, packet: Packet) -> bool:
    return (
        match.mpls_label is None
        and match.mpls_tc is None
        and _within(match.ip_src, packet.ip_src)
        and _within(match.ip_dst, packet.ip_dst)
        and _same(match.ip_proto, packet.ip_proto)
        and _same(match.l4_src, packet.l4_src)
        and _same(match.l4_dst, packet.l4_dst)
    )


def _same(stated: int | str | None, actual: int | str | None) -> bool:
    return stated is None or stated == actual


def _within(stated: str | None, actual: str | None) -> bool:
    if stated is None:
        return True
    return actual is not None and _address(actual) in _network(stated)


@lru_cache(maxsize=65536)
def _address(text: str) -> IPv4Address | IPv6Address:
    return ip_address(text)


@lru_cache(maxsize=65536)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


def packet_of(frame: bytes) -> Packet:
    """Read an Ethernet frame (as scapy's `bytes(packet)` gives it), without VLAN tags or IP options to look into.

    Raises ValueError when the frame is too short for what it claims to be.
    """
    try:
        return _parse(frame)
    except (struct.error, IndexError) as error:
        raise ValueError(f"a frame of {len(frame)} bytes is too short for its headers") from error


def _parse(frame: bytes) -> Packet:
    (kind,) = struct.unpack_from("!H", frame, 12)
    at, labels = 14, []
    while kind == MPLS:
        (entry,) = struct.unpack_from("!I", frame, at)
        labels.append(Label(entry >> 12, entry >> 9 & 7))
        at += 4
        if entry >> 8 & 1:
            kind = {4: IPV4, 6: IPV6}.get(frame[at] >> 4, ARP)
    fields: dict[str, int | str | None] = {}
    if kind == IPV4:
        fields = _ipv4(frame, at)
    elif kind == IPV6:
        fields = _ipv6(frame, at)
    elif kind == ARP:
        spa, tpa = struct.unpack_from("!14x4s6x4s", frame, at)
        fields = {"ip_src": str(IPv4Address(spa)), "ip_dst": str(IPv4Address(tpa))}
    return Packet(
        eth_type=kind,
        eth_src=frame[6:12].hex(":"),
        eth_dst=frame[0:6].hex(":"),
        labels=tuple(labels),
        size_bytes=len(frame),
        **fields,  # type: ignore[arg-type]
    )


def _ipv4(frame: bytes, at: int) -> dict[str, int | str | None]:
    first, tos, proto, source, destination = struct.unpack_from("!BB7xB2x4s4s", frame, at)
    fields: dict[str, int | str | None] = {
        "ip_src": str(IPv4Address(source)),
        "ip_dst": str(IPv4Address(destination)),
        "ip_proto": proto,
        "dscp": tos >> 2,
    }
    return fields | _l4_ports(frame, at + 4 * (first & 15), proto)


def _ipv6(frame: bytes, at: int) -> dict[str, int | str | None]:
    first, proto, source, destination = struct.unpack_from("!I2xBx16s16s", frame, at)
    fields: dict[str, int | str | None] = {
        "ip_src": str(IPv6Address(source)),
        "ip_dst": str(IPv6Address(destination)),
        "ip_proto": proto,
        "dscp": first >> 22 & 63,
    }
    return fields | _l4_ports(frame, at + 40, proto)


def _l4_ports(frame: bytes, at: int, proto: int) -> dict[str, int | str | None]:
    if proto not in _PORT_PROTOCOLS:
        return {}
    source, destination = struct.unpack_from("!HH", frame, at)
    return {"l4_src": source, "l4_dst": destination}
