"""Link discovery: signed LLDP frames out of every port, and what comes back.

A frame carries the sender's datapath id and port, signed with a key of this process (HMAC-SHA256), so that foreign
LLDP, and frames a host makes up, are ignored. A host that replays a frame it received can still pose as a link; such a
link disagrees with the declared topology and is reported by `check_links`, never used.

Between rounds, frames are timed one at a time, so that none waits for another: announcements over known links, and an
*echo* of every switch, the same frame sent straight back to us. The echo takes the announcement's whole way (out,
through the switch, in) except for the wire; half of each end's is therefore taken off what an announcement took. How
the two ends split it nobody can tell, so that half is also how far the result may be off, either way.

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
from collections.abc import Callable

from carelane.controller.southbound.counters import LinkDelay
from carelane.controller.southbound.openflow._compat import ethernet, lldp, ofp, parser
from carelane.controller.southbound.openflow._encode import DESC

__all__ = ["Discovery"]

_LOG = logging.getLogger(__name__)
_DESTINATION = "01:80:c2:00:00:0e"  # IEEE 802.1AB nearest bridge
_SOURCE = "ca:9e:00:00:00:01"  # locally administered
_OUI = b"\xca\x9e\x00"  # locally administered
_SUBTYPE = 1
_WHERE = struct.Struct("!QII")
"""Datapath id, port, and the number of a timed frame (0: not timed)."""
_TTL_S = 120
_SIGNATURE_BYTES = 16
_TIMED = 10
"""Of so many timed frames the shortest counts: the others were held up by something."""
_SLOTS = 20
"""Timed frames in one interval of announcements."""
_OUTSTANDING = 256

Port = tuple[int, int]
"""Datapath id and port number; OFPP_CONTROLLER stands for a switch itself."""


class Discovery:
    """Sends with `emit` every `interval_s` in a thread of its own; a link not seen for `expiry_s` is forgotten.

    `send` sends one message to a switch (its datapath id comes first), now.
    """

    def __init__(
        self, emit: Callable[[], None], send: Callable[[int, bytes], None], *, interval_s: float, expiry_s: float
    ) -> None:
        self._emit = emit
        self._send = send
        self._interval_s = interval_s
        self._expiry_s = expiry_s
        self._key = secrets.token_bytes(32)
        self._announcements: dict[Port, bytes] = {}
        self._seen: dict[tuple[Port, Port], float] = {}
        self._number = 0
        self._turn = 0
        self._sent: dict[int, float] = {}
        self._flights: dict[tuple[Port, Port], deque[float]] = {}
        self._echoes: dict[int, deque[float]] = {}
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
        """The packet-out message that announces this port; its transaction id is 0, as nobody waits for an answer."""
        message = self._announcements.get((dpid, port))
        if message is None:
            message = self._announcements[dpid, port] = _packet_out(port, self.frame(dpid, port))
        return message

    def measure(self) -> None:
        """Send the next timed frame: one link or one switch at a time, in turn."""
        with self._lock:
            switches = sorted({end[0] for ends in self._seen for end in ends})
            turn = [*((dpid, ofp.OFPP_CONTROLLER) for dpid in switches), *sorted({sender for sender, _ in self._seen})]
            if not turn:
                return
            self._turn = (self._turn + 1) % len(turn)
            self._number = self._number % 0xFFFFFFFF + 1
            (dpid, port), number = turn[self._turn], self._number
        message = _packet_out(port, self.frame(dpid, port, number))
        with self._lock:
            while len(self._sent) >= _OUTSTANDING:
                del self._sent[next(iter(self._sent))]
            self._sent[number] = time.monotonic()
        self._send(dpid, message)

    def frame(self, dpid: int, port: int, number: int = 0) -> bytes:
        """The Ethernet frame that announces this port."""
        where = _WHERE.pack(dpid, port, number)
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
        now, found = time.monotonic(), self._sender(data)
        if found is None:
            return False
        sender, number = found
        with self._lock:
            sent = self._sent.pop(number, None)
            if sender[1] == ofp.OFPP_CONTROLLER:
                if sent is not None and sender[0] == dpid:
                    self._echoes.setdefault(dpid, deque(maxlen=_TIMED)).append(now - sent)
                return True
            ends = (sender, (dpid, port))
            self._seen[ends] = now
            if sent is not None:
                self._flights.setdefault(ends, deque(maxlen=_TIMED)).append(now - sent)
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

    def delays(self) -> dict[tuple[Port, Port], LinkDelay]:
        """The delay of each link direction that was measured, by (sender, receiver): see the module."""
        found = {}
        with self._lock:
            for ends, flights in self._flights.items():
                echoes = [self._echoes.get(dpid) for dpid, _ in ends]
                if ends in self._seen and all(echoes):
                    late_s = sum(min(times) for times in echoes if times) / 2
                    flight_s = min(flights)
                    found[ends] = LinkDelay(max(0.0, flight_s - late_s), min(late_s, flight_s))
        return found

    def _sender(self, data: bytes) -> tuple[Port, int] | None:
        """Which port a frame of ours announces, and its number."""
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
        if len(where) != _WHERE.size:
            return None
        dpid, port, number = _WHERE.unpack(where)
        return (dpid, port), number

    def _sign(self, where: bytes) -> bytes:
        return hmac.new(self._key, where, hashlib.sha256).digest()[:_SIGNATURE_BYTES]

    def _run(self) -> None:
        due = 0.0
        while not self._stopping:
            try:
                if self._wake.is_set() or time.monotonic() >= due:
                    self._wake.clear()
                    due = time.monotonic() + self._interval_s
                    self._emit()
                else:
                    self.measure()
            except Exception:  # noqa: BLE001  discovery must outlive any one bad round
                _LOG.exception("a discovery round failed")
            self._wake.wait(self._interval_s / _SLOTS)


def _packet_out(port: int, data: bytes) -> bytes:
    message = parser.OFPPacketOut(
        DESC,
        buffer_id=ofp.OFP_NO_BUFFER,
        in_port=ofp.OFPP_CONTROLLER,
        actions=[parser.OFPActionOutput(port, ofp.OFPCML_NO_BUFFER)],
        data=data,
    )
    message.set_xid(0)
    message.serialize()
    return bytes(message.buf)
