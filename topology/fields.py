"""Field types of the manifest: text in, SI figures out; every refusal is an InputError that `documents` places."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_interface
from typing import Annotated

from pydantic import BeforeValidator, Field

from carelane.errors import InputError
from carelane.topology.names import check_name
from carelane.topology.numbering import MAX_PORT
from carelane.units import parse_duration_s, parse_length_m, parse_rate_bps, parse_ratio

__all__ = ["Address", "Availability", "Capacity", "Delay", "Dpid", "Length", "Loss", "Mac", "Name", "Period", "Port"]

_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}")


def _capacity(value: object) -> int:
    rate_bps = parse_rate_bps(value)
    if rate_bps == 0:
        raise InputError(
            "a capacity of zero carries nothing",
            expected="a rate above zero, such as 1Gbps",
            remedy="leave the link or endpoint out, or state its capacity",
        )
    return rate_bps


def _period(value: object) -> float:
    seconds = parse_duration_s(value)
    if seconds == 0:
        raise InputError("a time of zero has no meaning here", expected="a duration above zero, such as 4h")
    return seconds


def _dpid(value: object) -> int:
    number = int(value, 16) if isinstance(value, str) and _HEX.fullmatch(value) else value
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**64:
        raise InputError(
            f"{str(value)[:40]!r} is not a datapath id", expected="1 to 2^64 - 1, decimal or 0x hexadecimal"
        )
    return number


def _address(value: object) -> IPv4Network | IPv6Network:
    expected = "an IPv4 or IPv6 address or prefix, such as 10.1.0.11/32"
    if not isinstance(value, str) or len(value) > 64 or "%" in value:
        raise InputError(f"{str(value)[:40]!r} is not an address", expected=expected)
    try:
        interface = ip_interface(value)
    except ValueError:
        raise InputError(f"{value!r} is not an address", expected=expected) from None
    network = interface.network
    if interface.ip != network.network_address:
        raise InputError(
            f"{value!r} has host bits set", expected=f"{network}, or {interface.ip}/{network.max_prefixlen}"
        )
    if network.is_multicast or network.is_loopback:
        raise InputError(f"{value!r} cannot belong to an endpoint", expected="a unicast address")
    return network


def _mac(value: object) -> str:
    text = value.lower().replace("-", ":") if isinstance(value, str) else ""
    if not _MAC.fullmatch(text):
        raise InputError(f"{str(value)[:40]!r} is not a MAC address", expected="six bytes, such as 02:00:0a:01:00:0b")
    if int(text[:2], 16) & 1 or text == "00:00:00:00:00:00":
        raise InputError(f"{text} cannot belong to an endpoint", expected="a unicast MAC address")
    return text


Name = Annotated[str, BeforeValidator(check_name)]
Capacity = Annotated[int, BeforeValidator(_capacity)]
Delay = Annotated[float, BeforeValidator(parse_duration_s)]
Period = Annotated[float, BeforeValidator(_period)]
Length = Annotated[float, BeforeValidator(parse_length_m)]
Availability = Annotated[float, BeforeValidator(parse_ratio)]
Loss = Annotated[float, BeforeValidator(parse_ratio)]
Dpid = Annotated[int, BeforeValidator(_dpid)]
Port = Annotated[int, Field(ge=1, le=MAX_PORT, strict=True)]
Address = Annotated[IPv4Network | IPv6Network, BeforeValidator(_address)]
Mac = Annotated[str, BeforeValidator(_mac)]
