"""The lease: one leader at a time, by the database's clock, and no write of a former one, wherever it was stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import create_engine, text

from carelane.controller.leadership import Leadership
from carelane.errors import NotLeader, StoreUnavailable
from carelane.store import Lease, Store

pytestmark = pytest.mark.postgres
TTL_S = 0.6


@pytest.fixture
def url(postgres: Callable[[str], str]) -> str:
    return postgres("leadership")


@contextmanager
def member(url: str, name: str) -> Iterator[Leadership]:
    leadership = Leadership(url, f"http://{name}", ttl_s=TTL_S)
    leadership.start()
    try:
        yield leadership
    finally:
        leadership.stop()


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the awaited state did not come"
        time.sleep(0.01)


def test_one_leads_the_others_know_who_and_a_clean_end_hands_over(url: str) -> None:
    with member(url, "a") as a:
        with member(url, "b") as b:
            assert (a.standing.role, b.standing.role, b.standing.leader) == ("leader", "follower", "http://a")
            with pytest.raises(NotLeader, match="http://a leads") as refused:
                b.epoch()
            assert refused.value.leader == "http://a"
            until(lambda: len(a.places()) == 2 == len(b.places()))
            assert [(p.address, p.role, p.here) for p in b.places()] == [
                ("http://a", "leader", False),
                ("http://b", "follower", True),
            ]
            first = a.epoch()
            a.stop()
            until(lambda: b.standing.role == "leader")
            assert b.epoch() > first
            until(lambda: [(p.address, p.role) for p in b.places()] == [("http://b", "leader")])
        assert Leadership("sqlite:///x.db").standing.role == "single"


def test_of_many_that_ask_at_once_one_is_elected(url: str) -> None:
    leases = [Lease(url, holder=f"h{i}", address="", ttl_s=5) for i in range(6)]
    try:
        seen: list[str] = []
        threads = [threading.Thread(target=lambda lease=lease: seen.append(lease.round().holder)) for lease in leases]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 6
        assert len(set(seen)) == 1
    finally:
        for lease in leases:
            lease.close()


def test_a_leader_whose_time_is_over_acts_no_more_though_nobody_told_it(url: str) -> None:
    now = [1000.0]
    leader = Leadership(url, "http://a", ttl_s=TTL_S, clock=lambda: now[0])
    leader.start()
    try:
        assert leader.standing.role == "leader"
        leader._stopping = True  # as if its thread were stopped with the process
        now[0] += TTL_S
        assert leader.standing.role == "follower"
        with pytest.raises(NotLeader):
            leader.epoch()
    finally:
        leader.stop()


def test_what_a_stopped_leader_was_writing_is_undone_and_holds_nobody_up(url: str) -> None:
    old = Leadership(url, "http://old", ttl_s=60)
    old.start()
    with closing(Store(url, fence=old)) as stale:
        stopped, go_on = threading.Event(), threading.Event()
        outcome: list[BaseException] = []

        def write() -> None:
            try:
                with stale.write() as transaction:
                    transaction.file("surgery", "county", {"spec": {}})
                    stopped.set()
                    go_on.wait(30)  # SIGSTOP, in the middle of a transaction that holds the writers' turn
            except StoreUnavailable as error:
                outcome.append(error)

        writing = threading.Thread(target=write)
        writing.start()
        assert stopped.wait(30)
        _expire(url)
        with member(url, "new") as new, closing(Store(url, fence=new)) as store:
            assert new.standing.role == "leader"
            with store.write() as transaction:
                transaction.file("meeting", "county", {"spec": {}})
            go_on.set()  # SIGCONT
            writing.join(30)
            assert len(outcome) == 1
            # By its own clock it leads for a minute yet; the database knows better.
            with pytest.raises(NotLeader), stale.write() as transaction:
                transaction.file("late", "county", {"spec": {}})
            with store.read() as read:
                assert [intent.name for intent in read.intents()] == ["meeting"]
            assert old.standing.role == "follower"
            until(lambda: old.standing.leader == "http://new")
    old.stop()


def test_an_epoch_is_never_given_twice_not_even_by_a_database_made_anew(url: str) -> None:
    with closing(Lease(url, holder="a", address="", ttl_s=5)) as lease:
        first = lease.round().epoch
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE leadership"))
        connection.execute(text("SELECT pg_sleep(1)"))
    engine.dispose()
    with closing(Lease(url, holder="b", address="", ttl_s=5)) as lease:
        assert lease.round().epoch > first


def test_a_lease_of_a_dead_leader_is_over_when_the_clock_is_set_back(url: str) -> None:
    """It would else last for as long as the clock was set back, and nobody would act."""
    with closing(Lease(url, holder="dead", address="", ttl_s=5)) as lease:
        first = lease.round().epoch
    _expire(url, "1 hour")
    with member(url, "next") as after:
        assert after.standing.role == "leader"
        assert after.epoch() > first


def test_a_database_that_takes_no_writes_for_a_while_is_led_again(url: str) -> None:
    """As between the end of a primary and the promotion of its standby."""
    with member(url, "a") as a:
        assert a.standing.role == "leader"
        _admin(url, "ALTER DATABASE leadership SET default_transaction_read_only = on")
        until(lambda: a.standing.role == "follower")
        _admin(url, "ALTER DATABASE leadership RESET default_transaction_read_only")
        until(lambda: a.standing.role == "leader")


def _admin(url: str, command: str) -> None:
    """Carry it out from beside, and end the sessions of before."""
    engine = create_engine(url.replace("/leadership?", "/postgres?"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(command))
        connection.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'leadership'"))
    engine.dispose()


def _expire(url: str, left: str = "0 s") -> None:
    """As if the lease had run out, or were to end in a time that it cannot have been given for."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE leadership SET expires_at = clock_timestamp() + interval '{left}'"))
    engine.dispose()
