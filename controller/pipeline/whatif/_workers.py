"""Where the parts of a sweep run: in processes of this machine, or on the machines of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

from carelane.errors import InputError

__all__ = ["Processes", "RayCluster", "Workers"]

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers(Protocol):
    """`map` gives `work(shared, item)` for each item, in order, as they become ready; `shared` travels once."""

    def map(
        self, work: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]
    ) -> Iterator[Result]: ...


class Processes:
    """`count` processes here (default: one for each processor); one means this very process."""

    def __init__(self, count: int | None = None) -> None:
        if count is not None and count < 1:
            raise InputError(f"{count} workers", field="--workers", expected="1 or more")
        self.count = count or len(os.sched_getaffinity(0))

    def map(self, work: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]) -> Iterator[Result]:
        count = min(self.count, len(items))
        if count <= 1:
            yield from (work(shared, item) for item in items)
            return
        # spawn: a fork would copy locks that other threads of a server hold
        context = get_context("spawn")
        with ProcessPoolExecutor(count, mp_context=context, initializer=_keep, initargs=(work, shared)) as pool:
            yield from pool.map(_run, items, chunksize=max(1, len(items) // (8 * count)))


class RayCluster:
    """The cluster at `address`; None starts one here with `local_workers` processes, and ends it."""

    def __init__(self, address: str | None = None, *, local_workers: int | None = None) -> None:
        self.address = address
        self.local_workers = local_workers

    def map(self, work: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]) -> Iterator[Result]:
        """Raises InputError when Ray is not installed or the cluster does not answer."""
        try:
            import ray
        except ImportError as error:
            raise InputError("Ray is not installed", field="--ray", remedy="pip install 'carelane[cluster]'") from error
        where: dict[str, Any] = {"num_cpus": self.local_workers, "include_dashboard": False}
        if self.address is not None:
            where = {"address": self.address}
        try:
            ray.init(log_to_driver=False, **where)
        except (ConnectionError, OSError, RuntimeError) as error:
            raise InputError(
                f"no Ray cluster: {error}", field="--ray", expected="an address such as HOST:6379"
            ) from error
        try:
            task, state = ray.remote(work), ray.put(shared)
            for reference in [task.remote(state, item) for item in items]:
                yield ray.get(reference)
        finally:
            ray.shutdown()


_kept: tuple[Callable[[Any, Any], Any], Any] | None = None
"""What a worker process was started with."""


def _keep(work: Callable[[Any, Any], Any], shared: object) -> None:
    global _kept  # noqa: PLW0603 - one process, one sweep
    _kept = (work, shared)


def _run(item: Any) -> Any:
    assert _kept is not None
    work, shared = _kept
    return work(shared, item)
