"""Many datagrams with one system call (sendmmsg, recvmmsg), and sleeping until a moment in time.

A system call costs about 20 microseconds in the lab kernel, twenty times the work of passing a packet on, so the
number of calls decides how much traffic one processor can carry. Python's socket module has neither call.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct

__all__ = ["Receiver", "Sender", "raise_timer_precision", "sleep_until"]

SO_TIMESTAMPNS = 35  # asm-generic/socket.h; the socket module does not name it
_CLOCK_REALTIME = 0
_TIMER_ABSTIME = 1
_MTU = 1500
_libc = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.POINTER(_Iovec)),
        ("iov_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("padding", ctypes.c_uint32),
        ("transferred", ctypes.c_uint32),  # struct mmsghdr: a msghdr (padded to 56 bytes) and this count
        ("more_padding", ctypes.c_uint32),
    )


def sleep_until(moment_ns: int) -> None:
    """Sleep until a time of CLOCK_REALTIME: one call, no arithmetic on a clock reading that is old by then."""
    timespec = _Timespec(*divmod(moment_ns, 1_000_000_000))
    _libc.clock_nanosleep(_CLOCK_REALTIME, _TIMER_ABSTIME, ctypes.byref(timespec), None)


class _Vector:
    """`count` messages with one buffer each, laid out one after another."""

    def __init__(self, count: int, size: int, control: int) -> None:
        self.buffer = bytearray(count * size)
        self.control = bytearray(max(1, count * control))
        data = ctypes.addressof(ctypes.c_char.from_buffer(self.buffer))
        extra = ctypes.addressof(ctypes.c_char.from_buffer(self.control))
        self.iovecs = (_Iovec * count)(*[_Iovec(data + index * size, size) for index in range(count)])
        self.messages = (_Message * count)()
        self.message_size = ctypes.sizeof(_Message)
        for index, message in enumerate(self.messages):
            message.iov = ctypes.pointer(self.iovecs[index])
            message.iov_count = 1
            message.control = extra + index * control if control else None
            message.control_length = control


class Sender:
    """Sends batches on a connected socket: write packet i at ``buffer[i * STRIDE:]``, then `send`."""

    STRIDE = _MTU
    CAPACITY = 32

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._vector = _Vector(self.CAPACITY, self.STRIDE, 0)
        self.buffer = self._vector.buffer

    def send(self, sizes: list[int]) -> int:
        """Send the first ``len(sizes)`` packets; gives how many the kernel took, 0 for an error on the first."""
        for index, size in enumerate(sizes):
            self._vector.iovecs[index].length = size
        return max(0, int(_libc.sendmmsg(self._socket.fileno(), self._vector.messages, len(sizes), 0)))


class Receiver:
    """Receives batches with the kernel's time of arrival; never blocks."""

    CAPACITY = 128
    _CONTROL = 64
    # struct cmsghdr (length, level, type) and the struct timespec behind it.
    _STAMP = struct.Struct("=QiiQQ")

    def __init__(self, opened: socket.socket, size: int) -> None:
        self._socket = opened
        self._size = size
        self._vector = _Vector(self.CAPACITY, size, self._CONTROL)
        self.buffer = self._vector.buffer
        opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

    def receive(self) -> list[tuple[int, int]]:
        """Take up to CAPACITY packets; gives (arrival time in ns, bytes of payload); packet i: ``buffer[i * size:]``.

        A time of 0 marks a packet shorter than `size` or without a stamp. Only `size` bytes of each are copied.
        """
        flags = socket.MSG_DONTWAIT | socket.MSG_TRUNC
        count = _libc.recvmmsg(self._socket.fileno(), self._vector.messages, self.CAPACITY, flags, None)
        arrivals: list[tuple[int, int]] = []
        for index in range(max(0, count)):
            message = self._vector.messages[index]
            _, _, kind, seconds, nanoseconds = self._STAMP.unpack_from(self._vector.control, index * self._CONTROL)
            valid = kind == SO_TIMESTAMPNS and message.transferred >= self._size
            arrivals.append((seconds * 1_000_000_000 + nanoseconds if valid else 0, message.transferred))
            message.control_length = self._CONTROL
        return arrivals

    def overflow(self) -> int:
        """Packets the socket itself had to drop because its buffer was full."""
        memory = self._socket.getsockopt(socket.SOL_SOCKET, 55, 36)  # SO_MEMINFO: nine counters, the last is drops
        return int(struct.unpack("=9I", memory)[8])


def raise_timer_precision() -> None:
    """Let timers of this process fire when due (Linux may group them within 50 us)."""
    if _libc.prctl(29, 1, 0, 0, 0) != 0:  # PR_SET_TIMERSLACK
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
