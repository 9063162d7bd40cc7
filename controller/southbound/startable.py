"""A southbound that has to be started and stopped, as adapters with threads and sockets have."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["Startable"]


@runtime_checkable
class Startable(Protocol):
    """`start` may raise OSError for a port that is taken; `stop` leaves switches as they are."""

    def start(self) -> None: ...

    def stop(self) -> None: ...
