"""Entering a network namespace with one thread only (os.setns came with Python 3.12; the floor here is 3.11)."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["enter_netns", "run_in_netns"]

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

T = TypeVar("T")


def enter_netns(descriptor: int) -> None:
    """Move the calling thread into a network namespace. Raises OSError."""
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"setns: {os.strerror(code)}")


def run_in_netns(descriptor: int, work: Callable[[], T]) -> T:
    """Run `work` in a thread of its own inside the namespace; sockets it opens stay there. Exceptions pass through."""
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            enter_netns(descriptor)
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
            errors.append(error)

    thread = threading.Thread(target=body, name="carelane-lab-netns")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
