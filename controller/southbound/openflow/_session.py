"""Requests to one connected switch: batches confirmed by barrier, and multipart reads."""

from __future__ import annotations

import math
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from carelane.controller.southbound.openflow._bundle import COMMIT, DISCARD, OPEN, added, control
from carelane.controller.southbound.openflow._compat import ofp
from carelane.controller.southbound.openflow._connection import Connection
from carelane.controller.southbound.openflow._encode import barrier
from carelane.errors import ProgramError, SwitchUnreachable

__all__ = ["IS_SLAVE", "STALE", "Answer", "Rank", "Session", "SwitchError"]

T = TypeVar("T")

CHUNK = 1000
"""Messages between barriers: about 0.1 MB and some 30 ms of a switch's work, so echoes are answered in time."""
WINDOW = 3
"""Chunks under way at once: the switch works on one while the next are encoded."""
_ERROR = struct.Struct("!HH")
_MULTIPART = struct.Struct("!HH4x")
_ROLE = struct.Struct(ofp.OFP_HEADER_PACK_STR + "I4xQ")


@dataclass(frozen=True, slots=True)
class SwitchError:
    """An OFPT_ERROR, by the names of OpenFlow 1.3.5 section 7.4.4."""

    type: int
    code: int

    @classmethod
    def of(cls, frame: bytes) -> SwitchError:
        return cls(*_ERROR.unpack_from(frame, ofp.OFP_HEADER_SIZE))

    def __str__(self) -> str:
        kind = str(ofp.ofp_error_type_to_str(self.type)).split("(")[0]
        code = str(ofp.ofp_error_code_to_str(self.type, self.code)).split("(")[0]
        return f"{kind}/{code}"


STALE = SwitchError(ofp.OFPET_ROLE_REQUEST_FAILED, ofp.OFPRRFC_STALE)
_ANSWERS = (ofp.OFPT_BARRIER_REPLY, ofp.OFPT_MULTIPART_REPLY, ofp.OFPT_ROLE_REPLY, ofp.OFPT_EXPERIMENTER)
IS_SLAVE = SwitchError(ofp.OFPET_BAD_REQUEST, ofp.OFPBRC_IS_SLAVE)


@dataclass(frozen=True, slots=True)
class Answer:
    """The joined bodies of a reply, complete at `at_s` of the monotonic clock."""

    body: bytes
    at_s: float


class _Wait:
    """One expected answer: a barrier or a multipart reply."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.at_s = math.nan
        self.parts: list[bytes] = []
        self.error: SwitchError | None = None
        self.then: Callable[[SwitchError | None], object] | None = None

    def finish(self, error: SwitchError | None = None) -> None:
        self.error = error
        self.at_s = time.monotonic()
        if self.then is not None:
            self.then(error)
        self.done.set()


_ROLES = {True: ofp.OFPCR_ROLE_MASTER, False: ofp.OFPCR_ROLE_SLAVE, None: ofp.OFPCR_ROLE_EQUAL}


@dataclass(frozen=True, slots=True)
class Rank:
    """What a controller is to a switch: its master or a reader, of the generation `epoch` (OpenFlow 1.3.5, 6.3.6).

    `master` None: neither, an equal among equals, as before any request; the switch does not look at `epoch` then.
    """

    master: bool | None
    epoch: int

    def request(self, xid: int) -> bytes:
        role = _ROLES[self.master]
        return _ROLE.pack(ofp.OFP_VERSION, ofp.OFPT_ROLE_REQUEST, _ROLE.size, xid, role, self.epoch)


class Session:
    """Thread-safe; `lock` makes a read, or the commands of one step, whole for other threads."""

    def __init__(self, connection: Connection, *, timeout_s: float) -> None:
        self.connection = connection
        self.lock = threading.RLock()
        self._timeout_s = timeout_s
        self._waits: dict[int, _Wait] = {}
        self._batch: range = range(0)
        self._errors: dict[int, SwitchError] = {}
        self._closed: str | None = None
        self._takes_bundles = True
        self.demoted = False
        """Whether the switch said, unasked, that we are a slave; until it is asked for a role again."""

    def transact(self, items: Sequence[T], encode: Callable[[T, int], bytes]) -> dict[int, SwitchError]:
        """Send ``encode(item, xid)`` of every item in order and wait until the switch has carried all of them out.

        Returns the errors by index of the item. Raises SwitchUnreachable when not all is confirmed: then anything
        between nothing and everything may have been done, and only a read tells.
        """
        with self.lock, self._batching(len(items)) as first:
            self._stream(items, encode, first)
            return {xid - first: error for xid, error in self._errors.items()}

    def commit(self, items: Sequence[T], encode: Callable[[T, int], bytes]) -> dict[int, SwitchError] | None:
        """As `transact`, in one bundle: carried out as one, or, when there is an error, not at all.

        None, and nothing done, when the switch knows no bundles. An error that it does not lay at the door of a message
        is told of the first.
        """
        with self.lock, self._batching(len(items)) as first:
            if not self._takes_bundles:
                return None
            bundle = self.connection.reserve_xids(1)
            refused = self._control(bundle, OPEN)
            if refused is not None:
                self._takes_bundles = refused == IS_SLAVE
                return {0: refused} if self._takes_bundles else None
            self._stream(items, lambda item, xid: added(bundle, encode(item, xid), xid), first)
            error = self._control(bundle, DISCARD if self._errors else COMMIT)
            if error is not None and not self._errors:
                return {0: error}
            return {xid - first: error for xid, error in self._errors.items()}

    def multipart(self, kind: int, request: bytes = b"") -> bytes:
        """The joined bodies of all parts of the reply to a multipart request of type `kind`."""
        (answer,) = self.multiparts([(kind, request)])
        return answer.body

    def multiparts(self, requests: Sequence[tuple[int, bytes]]) -> list[Answer]:
        """Several such requests (type and body), sent in one piece: threads wake up once for all of them."""
        first = self.connection.reserve_xids(len(requests))
        waits = [self._expect(first + place) for place in range(len(requests))]
        frames = [_multipart_request(first + place, *request) for place, request in enumerate(requests)]
        try:
            self._transmit(b"".join(frames))
            for place in reversed(range(len(requests))):  # a switch answers in order: after the last, nobody waits
                self._finish(first + place, waits[place])
        finally:
            for place in range(len(requests)):
                self._waits.pop(first + place, None)
        return [Answer(b"".join(wait.parts), wait.at_s) for wait in waits]

    def take(self, rank: Rank, then: Callable[[SwitchError | None], object]) -> threading.Event:
        """Ask the switch to see us so; `then` is called by the receiving thread with its answer.

        The event is set after that, or when the connection ends without an answer.
        """
        self.demoted = False
        xid = self.connection.reserve_xids(1)
        wait = self._expect(xid)

        def answered(error: SwitchError | None) -> None:
            self._waits.pop(xid, None)
            then(error)

        wait.then = answered
        self._transmit(rank.request(xid))
        if self._closed is not None:  # before it could see that somebody waits
            wait.done.set()
        return wait.done

    def on_raw(self, kind: int, xid: int, frame: bytes) -> bool:
        """Called by the receiving thread with every message; True when it was an answer to us."""
        if kind == ofp.OFPT_ERROR:
            return self._on_error(xid, frame)
        wait = self._waits.get(xid)
        if wait is None or kind not in _ANSWERS:
            return False
        if kind == ofp.OFPT_MULTIPART_REPLY:
            _, flags = _MULTIPART.unpack_from(frame, ofp.OFP_HEADER_SIZE)
            wait.parts.append(frame[ofp.OFP_MULTIPART_REPLY_SIZE :])
            if flags & ofp.OFPMPF_REPLY_MORE:
                return True
        wait.finish()
        return True

    def on_closed(self, reason: str) -> None:
        """Fail everybody who waits."""
        self._closed = reason
        for wait in list(self._waits.values()):
            wait.done.set()

    def _on_error(self, xid: int, frame: bytes) -> bool:
        error = SwitchError.of(frame)
        if xid in self._batch:
            self._errors[xid] = error
            return True
        wait = self._waits.get(xid)
        if wait is None:
            return False
        wait.finish(error)
        return True

    @contextmanager
    def _batching(self, size: int) -> Iterator[int]:
        """The first of `size` transaction ids, whose errors are collected meanwhile."""
        first = self.connection.reserve_xids(size)
        self._errors = {}
        self._batch = range(first, first + size)
        try:
            yield first
        finally:
            self._batch = range(0)

    def _stream(self, items: Sequence[T], encode: Callable[[T, int], bytes], first: int) -> None:
        """Send all and wait until the switch has seen them."""
        outstanding: deque[tuple[int, _Wait]] = deque()
        try:
            for start in range(0, len(items), CHUNK):
                frames = [encode(item, first + start + i) for i, item in enumerate(items[start : start + CHUNK])]
                outstanding.append(self._send(b"".join(frames)))
                if len(outstanding) >= WINDOW:
                    self._finish(*outstanding.popleft())
            while outstanding:
                self._finish(*outstanding.popleft())
        finally:
            for xid, _ in outstanding:
                self._waits.pop(xid, None)

    def _control(self, bundle: int, kind: int) -> SwitchError | None:
        """What the switch says against opening, committing or discarding a bundle."""
        xid = self.connection.reserve_xids(1)
        wait = self._expect(xid)
        self._transmit(control(bundle, kind, xid))
        try:
            self._finish(xid, wait)
        except ProgramError:
            return wait.error
        return None

    def _send(self, data: bytes) -> tuple[int, _Wait]:
        xid = self.connection.reserve_xids(1)
        wait = self._expect(xid)
        self._transmit(data + barrier(xid))
        return xid, wait

    def _expect(self, xid: int) -> _Wait:
        wait = self._waits[xid] = _Wait()
        return wait

    def _transmit(self, data: bytes) -> None:
        """In pieces, so that the socket's time limit counts from the last progress, not from the first byte."""
        for start in range(0, len(data), 1 << 16):
            self.connection.send(data[start : start + (1 << 16)])

    def _finish(self, xid: int, wait: _Wait) -> None:
        # A connection that ended between _expect and here has set `_closed` before it looked at the waiting.
        confirmed = self._closed is None and wait.done.wait(self._timeout_s)
        self._waits.pop(xid, None)
        if self._closed is not None:
            raise SwitchUnreachable(f"connection lost: {self._closed}")
        if not confirmed:
            raise SwitchUnreachable(f"no confirmation within {self._timeout_s:g} s")
        if wait.error is not None:
            raise ProgramError(f"the switch refused to answer: {wait.error}")


def _multipart_request(xid: int, kind: int, request: bytes) -> bytes:
    body = _MULTIPART.pack(kind, 0) + request
    length = ofp.OFP_HEADER_SIZE + len(body)
    return struct.pack(ofp.OFP_HEADER_PACK_STR, ofp.OFP_VERSION, ofp.OFPT_MULTIPART_REQUEST, length, xid) + body
