"""Whatever a round of the lease meets, the next one comes: a controller that gives up seeking it leaves none to act."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg.errors import ReadOnlySqlTransaction, UndefinedTable
from sqlalchemy.exc import InternalError, ProgrammingError

from carelane.controller import leadership
from carelane.controller.leadership import Leadership
from carelane.errors import StoreUnavailable
from carelane.store import Tenure
from carelane.store._engine import translated

FAULTS = (
    InternalError("UPDATE", {}, ReadOnlySqlTransaction("cannot execute UPDATE in a read-only transaction")),
    ProgrammingError("UPDATE", {}, UndefinedTable('relation "leadership" does not exist')),
    RuntimeError("a fault of ours"),
)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the awaited state did not come"
        time.sleep(0.01)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_round_that_fails_is_not_the_last(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[int] = []

    class FailingLease:
        """Fails in its third round, the first that the thread makes."""

        def __init__(self, _url: str, *, holder: str, **_: Any) -> None:
            self.holder = holder

        def round(self) -> Tenure:
            rounds.append(1)
            with translated():
                if len(rounds) == 3:
                    raise fault
            return Tenure(self.holder, "http://a", 7, datetime.now(UTC), True)

        def members(self) -> tuple[()]:
            return ()

        def release(self) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr(leadership, "Lease", FailingLease)
    leader = Leadership("postgresql+psycopg://nobody@nowhere/none", "http://a", ttl_s=0.6)
    leader.start()
    try:
        until(lambda: len(rounds) > 3 and leader.standing.role == "leader")
    finally:
        leader.stop()


def test_a_database_that_takes_no_writes_is_one_that_does_not_answer() -> None:
    """As after a failover to a standby that is not promoted yet: it may pass."""
    with pytest.raises(StoreUnavailable, match="read-only"), translated():
        raise FAULTS[0]
