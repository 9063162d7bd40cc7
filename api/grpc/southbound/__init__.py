"""The switches in a process of their own (`carelane southbound`), and the control plane's end of the stream to it."""

from carelane.api.grpc.southbound.client import RemoteSouthbound
from carelane.api.grpc.southbound.server import SouthboundServer

__all__ = ["RemoteSouthbound", "SouthboundServer"]
