"""The noise floor's own path: two namespaces and a wire that no other traffic can ever enter.

Its probe has the size and the rate of the strictest stream (1 kHz haptic control) and the same machinery: a veth, a
netem timer, a redirection, a veth. Nothing can queue on it, so whatever its packets take beyond the wire's delay is
the lab's own doing: a late timer, a busy processor. That is the noise every result is reported with.
"""

from __future__ import annotations

import os

from carelane.lab.agent.commands import ip_batch, run
from carelane.lab.agent.wires import CORE_MTU, Wires
from carelane.lab.network import LabWire

__all__ = ["NOISE_DELAY_S", "NOISE_TARGET", "NoisePath"]

NOISE_DELAY_S = 0.005
NOISE_TARGET = "10.254.0.130"
_SOURCE = "10.254.0.129"
_NAMESPACES = ("carelane-noise-a", "carelane-noise-b")


class NoisePath:
    """The two ends; `source` and `target` are namespaces, by path."""

    def __init__(self, wires: Wires) -> None:
        self.delay_s = NOISE_DELAY_S if wires.have_delay else 0.0
        devices = ("noise0", "noise1")
        wire = LabWire("carelane-noise", "noise-a", 1, "noise-b", 1, delay_s=NOISE_DELAY_S)
        wires.make([(wire, (devices[0], None), (devices[1], None))])
        for namespace, device, address in zip(_NAMESPACES, devices, (_SOURCE, NOISE_TARGET), strict=True):
            run(["ip", "netns", "add", namespace])
            ip_batch([f"link set {device} netns {namespace}"])
            descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
            ip_batch(
                [
                    "link set lo up",
                    f"link set {device} mtu {CORE_MTU} up",
                    f"address add {address}/30 dev {device}",
                ],
                netns=descriptor,
            )
            os.close(descriptor)
        self.source, self.target = (f"/run/netns/{namespace}" for namespace in _NAMESPACES)
        # Answer ARP once now, so that the first probe does not pay for it, and never ask again.
        run(["ip", "netns", "exec", _NAMESPACES[0], "ping", "-c", "1", "-W", "2", "-q", NOISE_TARGET])
        run(["ip", "-n", _NAMESPACES[0], "neighbour", "change", NOISE_TARGET, "dev", devices[0], "nud", "permanent"])
