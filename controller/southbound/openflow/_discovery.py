"""Link discovery: signed LLDP frames out of every port, and what comes back.

A frame carries the sender's datapath id and port, signed with a key of this process (HMAC-SHA256), so that foreign
LLDP, and frames a host makes up, are ignored. A host that replays a frame it received can still pose as a link; such a
link disagrees with the declared topology and is reported by `check_links`, never used.

os_ken.topology does the same with a timed wait that never ends (see `_compat`) and without a signature.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from carelane.controller.southbound.openflow._compat import ethernet, lldp, ofp, parser
from carelane.controller.southbound.openflow._encode import DESC

__all__ = ["Discovery"]

_LOG = logging.getLogger(__name__)
_DESTINATION = "01:80:c2:00:00:0e"  # IEEE 802.1AB nearest bridge
_SOURCE = "ca:9e:00:00:00:01"  # locally administered
_OUI = b"\xca\x9e\x00"  # locally administered
_SUBTYPE = 1
_WHERE = struct.Struct("!QI")
_TTL_S = 120
_SIGNATURE_BYTES = 16
_FLIGHTS = 10
_PAUSE_S = 0.1
_SPREAD = 0.8
"""Of the interval, over which the announcements of a round are spread."""

Port = tuple[int, int]
"""Datapath id and port number."""


class Discovery:
    """Sends with `emit` every `interval_s` in a thread of its own; a link not seen for `expiry_s` is forgotten.

    `emit` announces one port a step. The steps are spread over the interval: announcements that reach a switch together
    wait for each other there, which would be taken for a long link.
    """

    def __init__(self, emit: Callable[[], Iterator[None]], *, interval_s: float, expiry_s: float) -> None:
        self._emit = emit
        self._interval_s = interval_s
        self._expiry_s = expiry_s
        self._key = secrets.token_bytes(32)
        self._announcements: dict[Port, bytes] = {}
        self._seen: dict[tuple[Port, Port], float] = {}
        self._sent: dict[Port, float] = {}
        self._flights: dict[tuple[Port, Port], deque[float]] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stopping = False
        self._wake.clear()
        self._thread = threading.Thread(target=self._run, name="carelane-lldp", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._thread is None:
            return
        self._stopping = True
        self._wake.set()
        self._thread.join()
        self._thread = None
        with self._lock:
            self._seen.clear()

    def hurry(self) -> None:
        """Send a round now: something came up."""
        self._wake.set()

    def announcement(self, dpid: int, port: int) -> bytes:
        """The packet-out message that announces this port, to be sent now; its transaction id is 0, as nobody waits
        for an answer."""
        self._sent[dpid, port] = time.monotonic()
        message = self._announcements.get((dpid, port))
        if message is None:
            message = self._announcements[dpid, port] = _packet_out(port, self.frame(dpid, port))
        return message

    def frame(self, dpid: int, port: int) -> bytes:
        """The Ethernet frame that announces this port."""
        where = _WHERE.pack(dpid, port)
        tlvs = (
            lldp.ChassisID(subtype=lldp.ChassisID.SUB_LOCALLY_ASSIGNED, chassis_id=f"carelane:{dpid:016x}".encode()),
            lldp.PortID(subtype=lldp.PortID.SUB_LOCALLY_ASSIGNED, port_id=str(port).encode()),
            lldp.TTL(ttl=_TTL_S),
            lldp.OrganizationallySpecific(oui=_OUI, subtype=_SUBTYPE, info=where + self._sign(where)),
            lldp.End(),
        )
        payload = bytearray(lldp.lldp(tlvs).serialize(None, None))
        head = ethernet.ethernet(_DESTINATION, _SOURCE, 0x88CC).serialize(payload, None)  # also pads the payload
        return bytes(head + payload)

    def receive(self, dpid: int, port: int, data: bytes) -> bool:
        """Note what a switch handed up; False when it is no frame of ours."""
        sender = self._sender(data)
        if sender is None:
            return False
        now, ends = time.monotonic(), (sender, (dpid, port))
        with self._lock:
            self._seen[ends] = now
            if (sent := self._sent.pop(sender, None)) is not None:
                self._flights.setdefault(ends, deque(maxlen=_FLIGHTS)).append(now - sent)
        return True

    def forget(self, dpid: int, port: int | None = None) -> None:
        """Drop the links of a switch, or of one of its ports, that went down."""
        with self._lock:
            for ends in [e for e in self._seen if any(d == dpid and port in (None, p) for d, p in e)]:
                del self._seen[ends]
                self._flights.pop(ends, None)

    def links(self) -> list[tuple[Port, Port]]:
        """(sender, receiver) of every direction seen within the expiry."""
        oldest = time.monotonic() - self._expiry_s
        with self._lock:
            self._seen = {ends: seen for ends, seen in self._seen.items() if seen >= oldest}
            return list(self._seen)

    def flights(self) -> dict[tuple[Port, Port], float]:
        """The shortest time of the last rounds from sending an announcement to seeing it, by (sender, receiver).

        It is the link's delay, one way to the sending switch and one way back from the receiving one.
        """
        with self._lock:
            return {ends: min(times) for ends, times in self._flights.items() if ends in self._seen and times}

    def _sender(self, data: bytes) -> Port | None:
        if data[12:14] != b"\x88\xcc":
            return None
        try:
            frame = lldp.lldp.parser(data[14:])[0]
            (info,) = (
                tlv.info
                for tlv in frame.tlvs
                if isinstance(tlv, lldp.OrganizationallySpecific) and tlv.oui == _OUI and tlv.subtype == _SUBTYPE
            )
            where, signature = info[: _WHERE.size], info[_WHERE.size :]
        except Exception:  # noqa: BLE001  anything may arrive in a frame; os-ken's parser fails in many ways
            return None
        if not hmac.compare_digest(signature, self._sign(where)):
            return None
        dpid, port = _WHERE.unpack(where)
        return dpid, port

    def _sign(self, where: bytes) -> bytes:
        return hmac.new(self._key, where, hashlib.sha256).digest()[:_SIGNATURE_BYTES]

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopping:
            self._wake.clear()
            end = time.monotonic() + self._interval_s
            steps = 0
            try:
                for _ in self._emit():
                    steps += 1
                    self._wake.wait(pause_s)  # not at all once somebody is in a hurry
            except Exception:  # noqa: BLE001  discovery must outlive any one bad round
                _LOG.exception("a discovery round failed")
            pause_s = min(_PAUSE_S, _SPREAD * self._interval_s / max(1, steps))
            self._wake.wait(max(0.0, end - time.monotonic()))


def _packet_out(port: int, data: bytes) -> bytes:
    message = parser.OFPPacketOut(
        DESC,
        buffer_id=ofp.OFP_NO_BUFFER,
        in_port=ofp.OFPP_CONTROLLER,
        actions=[parser.OFPActionOutput(port, 0)],
        data=data,
    )
    message.set_xid(0)
    message.serialize()
    return bytes(message.buf)
