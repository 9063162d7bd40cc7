"""Devices and application servers, by address, as endpoints of the topology."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from carelane.api.auth import Principal
from carelane.api.camara.errors import CamaraError, invalid
from carelane.api.camara.models import ApplicationServer, Device
from carelane.topology import Endpoint, Topology

__all__ = ["device_endpoint", "server_endpoint"]


def device_endpoint(
    topology: Topology, device: Device | None, principal: Principal, *, needed: bool
) -> tuple[Endpoint, dict[str, Any] | None] | None:
    """The endpoint of the device, and the one identifier that was used, as it was written (None: the token's).

    IP addresses identify a device here: there is no address translation inside the network, so of an IPv4 device the
    private address counts where both are given. Raises CamaraError 404 and 422.
    """
    if principal.device is not None:
        if device is not None:
            raise CamaraError(422, "UNNECESSARY_IDENTIFIER", "The device is already identified by the access token.")
        return _at(topology, ip_address(principal.device)), None
    if device is None:
        if needed:
            raise CamaraError(422, "MISSING_IDENTIFIER", "The device cannot be identified.")
        return None
    if device.ipv4Address is not None:
        used = device.ipv4Address.model_dump(mode="json", exclude_none=True)
        address = device.ipv4Address.privateAddress or device.ipv4Address.publicAddress
        return _at(topology, address), {"ipv4Address": used}
    if device.ipv6Address is not None:
        return _at(topology, ip_address(device.ipv6Address)), {"ipv6Address": device.ipv6Address}
    raise CamaraError(422, "UNSUPPORTED_IDENTIFIER", "The identifier provided is not supported.")


def server_endpoint(topology: Topology, server: ApplicationServer) -> Endpoint:
    """The endpoint that holds all addresses of the application server. Raises CamaraError 400 and 422."""
    for text, version in ((server.ipv4Address, 4), (server.ipv6Address, 6)):
        if text is None:
            continue
        try:
            network = ip_network(_with_width(text), strict=False)
        except ValueError as error:
            raise invalid(f"applicationServer: {text[:60]!r} is not an address or a network") from error
        if network.version != version:
            raise invalid(f"applicationServer: {text[:60]!r} is not an IPv{version} address")
        found = _holding(topology, network)
        if found is not None:
            return found
    raise CamaraError(422, "SERVICE_NOT_APPLICABLE", "The application server is not reached by this network.")


def _with_width(text: str) -> str:
    """An address, or address/width: the specification knows neither masks written as addresses nor zones."""
    _, slash, width = text.partition("/")
    if "%" in text or (slash and not (width.isascii() and width.isdigit())):
        raise ValueError("not an address or address/width")
    return text


def _at(topology: Topology, address: IPv4Address | IPv6Address) -> Endpoint:
    found = _holding(topology, ip_network(address))
    if found is None:
        raise CamaraError(404, "IDENTIFIER_NOT_FOUND", "Device identifier not found.")
    return found


def _holding(topology: Topology, network: IPv4Network | IPv6Network) -> Endpoint | None:
    """The narrowest endpoint whose addresses include `network`."""
    holding = [
        end
        for end in topology.endpoints.values()
        if end.address is not None and end.address.version == network.version and _covers(end.address, network)
    ]
    return max(holding, key=lambda end: (end.address.prefixlen if end.address else 0, end.id), default=None)


def _covers(outer: IPv4Network | IPv6Network, inner: IPv4Network | IPv6Network) -> bool:
    first, last = outer.network_address, outer.broadcast_address
    return int(first) <= int(inner.network_address) and int(inner.broadcast_address) <= int(last)
