"""Sets of packets, and how a match relates to one: the ternary algebra of the verifier (Kazemian et al., NSDI 2012).

A cube fixes some header fields and leaves others free; addresses are prefixes. Everything the pipeline matches is a
cube, so that "is this rule taken by all, some or none of these packets" has an exact answer without enumeration.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_network
from typing import NamedTuple

from carelane.controller.pipeline.program import Match

__all__ = ["ALL", "NONE", "SOME", "Cube", "describe", "meets", "overlap"]

NONE, SOME, ALL = 0, 1, 2

_MPLS = 0x8847
_NAMES = {0x0800: "IPv4", 0x0806: "ARP", 0x86DD: "IPv6", _MPLS: "MPLS"}


class Cube(NamedTuple):
    """What a switch sees of a set of packets arriving at one port; None leaves a field free.

    Under a label (`label` stated, `eth_type` 0x8847) addresses are out of sight and are None.
    """

    eth_type: int
    eth_src: str | None = None
    eth_dst: str | None = None
    ip_src: str | None = None
    ip_dst: str | None = None
    label: int | None = None
    tc: int | None = None


def meets(match: Match, cube: Cube, in_port: int) -> int:
    """Whether ALL, SOME or NONE of the packets of `cube` that arrive at `in_port` are matched."""
    if match.in_port is not None and match.in_port != in_port:
        return NONE
    if match.eth_type is not None and match.eth_type != cube.eth_type:
        return NONE
    found = ALL
    if match.eth_src is not None:
        found = _exact(match.eth_src, cube.eth_src)
    if match.eth_dst is not None:
        found = min(found, _exact(match.eth_dst, cube.eth_dst))
    has_ports = match.ip_proto is not None or match.l4_src is not None or match.l4_dst is not None
    if cube.eth_type == _MPLS:
        if has_ports or match.ip_src is not None or match.ip_dst is not None:
            return NONE
        if match.mpls_label is not None:
            found = min(found, _exact(match.mpls_label, cube.label))
        return found if match.mpls_tc is None else min(found, _exact(match.mpls_tc, cube.tc))
    if match.mpls_label is not None or match.mpls_tc is not None:
        return NONE
    if found and has_ports:
        found = SOME
    if match.ip_src is not None:
        found = min(found, _prefix(match.ip_src, cube.ip_src))
    return found if match.ip_dst is None else min(found, _prefix(match.ip_dst, cube.ip_dst))


def overlap(match: Match, cube: Cube) -> Cube:
    """The part of `cube` that `match` takes, where it takes any."""
    return cube._replace(
        eth_src=cube.eth_src or match.eth_src,
        eth_dst=cube.eth_dst or match.eth_dst,
        ip_src=_longer(cube.ip_src, match.ip_src),
        ip_dst=_longer(cube.ip_dst, match.ip_dst),
        tc=match.mpls_tc if cube.tc is None else cube.tc,
    )


def describe(cube: Cube) -> str:
    """One packet of the cube, as text."""
    kind = _NAMES.get(cube.eth_type, f"{cube.eth_type:#06x}")
    ends = f" {_first(cube.ip_src)} to {_first(cube.ip_dst)}" if cube.ip_src or cube.ip_dst else ""
    label = f" label {cube.label}" if cube.label is not None else ""
    return f"{kind}{label}{ends}"


def _exact(stated: int | str | None, actual: int | str | None) -> int:
    if stated is None or stated == actual:
        return ALL
    return SOME if actual is None else NONE


def _prefix(stated: str | None, actual: str | None) -> int:
    if stated is None or stated == actual:
        return ALL
    if actual is None:
        return SOME
    version, net, length, bits = _parsed(stated)
    other_version, other, other_length, _ = _parsed(actual)
    if version != other_version:
        return NONE
    shift = bits - min(length, other_length)
    if net >> shift != other >> shift:
        return NONE
    return ALL if other_length >= length else SOME


@lru_cache(maxsize=65536)
def _parsed(text: str) -> tuple[int, int, int, int]:
    network = ip_network(text)
    return network.version, int(network.network_address), network.prefixlen, network.max_prefixlen


def _longer(one: str | None, other: str | None) -> str | None:
    if one is None or other is None:
        return one or other
    return one if _parsed(one)[2] >= _parsed(other)[2] else other


def _first(prefix: str | None) -> str:
    return "any" if prefix is None else str(ip_network(prefix).network_address)
