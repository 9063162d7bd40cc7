"""Filings that wait at the same time share one transaction: the disk is waited for once, and what is held is read once.

Whoever finds nobody at it leads: when the store's turn comes, the leader carries out what waits by then, each in a
savepoint of its own, and commits. Nobody is answered before that. One that fails undoes itself and none of the others;
when the database fails, all of them fail. Between transactions the turn goes to whoever has waited longest, so that the
loop that programs switches has its share.
"""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from carelane.errors import NotLeader, StoreUnavailable
from carelane.store import Store, Writer

__all__ = ["Group"]

MOST = 16
"""How many share a transaction at most: the first of them waits for the last."""

Value = TypeVar("Value")


@dataclass(eq=False, slots=True)
class _Item:
    """One caller's part, carried out in the context (trace, request number) of the thread that asked."""

    work: Callable[[Writer], Any]
    context: contextvars.Context
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    value: Any = None
    error: BaseException | None = None


class Group:
    """Thread-safe. `seal` is called before each commit, `undone` whenever something was rolled back."""

    def __init__(
        self, store: Store, *, seal: Callable[[Writer], None], undone: Callable[[], None], most: int = MOST
    ) -> None:
        self._store, self._seal, self._undone, self._most = store, seal, undone, most
        self._mutex = threading.Lock()
        self._waiting: deque[_Item] = deque()
        self._led = False

    def run(self, work: Callable[[Writer], Value]) -> Value:
        """What `work` returns, once it is stored. Raises what it raises (nothing of it is stored), StoreUnavailable."""
        item = _Item(work, contextvars.copy_context())
        with self._mutex:
            self._waiting.append(item)
            item.leads, self._led = not self._led, True
        if not item.leads:
            item.woken.wait()  # the leader wakes everybody it took, and makes one of those it left the next leader
        if item.leads:
            self._lead(item)
        if item.error is not None:
            raise item.error
        value: Value = item.value
        return value

    def _lead(self, own: _Item) -> None:
        batch: list[_Item] = []
        try:
            with self._store.write() as write:
                batch = self._take()
                for item in batch:
                    self._one(write, item)
                self._seal(write)
        except BaseException as error:  # noqa: BLE001 - given to each caller, in its own thread
            self._undone()
            batch = batch or self._take()
            for item in batch:
                item.error = error if item is own else _shared(error)
        finally:
            self._hand_over([item for item in batch if item is not own])

    def _one(self, write: Writer, item: _Item) -> None:
        try:
            with write.savepoint():
                item.value = item.context.run(item.work, write)
        except StoreUnavailable:
            raise  # the transaction is lost, for all of them
        except Exception as error:  # noqa: BLE001 - given to the caller, in its own thread
            self._undone()
            item.error = error

    def _take(self) -> list[_Item]:
        """Those that waited longest; whoever leads is the first of them."""
        with self._mutex:
            return [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]

    def _hand_over(self, done: list[_Item]) -> None:
        with self._mutex:
            following = self._waiting[0] if self._waiting else None
            self._led = following is not None
            if following is not None:
                following.leads = True
        for item in (*done, *((following,) if following else ())):
            item.woken.set()


def _shared(error: BaseException) -> StoreUnavailable | NotLeader:
    """For those who came along: an exception belongs to one thread."""
    if isinstance(error, NotLeader):
        return NotLeader(error.leader)
    unavailable = StoreUnavailable(f"the transaction that this shared with others was lost: {error}")
    unavailable.__cause__ = error
    return unavailable
