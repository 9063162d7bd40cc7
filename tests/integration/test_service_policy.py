"""The admission policy in the running server: who is asked before others go, and what the switches carry meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from carelane.controller._whatif import Asked
from carelane.controller.reconcile.holdings import Holdings
from carelane.errors import ConflictError, SwitchUnreachable
from carelane.intents.lifecycle import ADMITTED, INSTALLED
from carelane.policies.admission.manifest import parse_policy
from carelane.store import Store
from carelane.topology import parse_topology
from carelane.topology.model import Topology

Rig = Any
MakeRig = Callable[..., Rig]
HEAD = "apiVersion: carelane/v1\nkind: Policy\nmetadata: {name: p}\nspec:\n"
GIVES_WAY = "  preemption: {minimumPriorityGap: 2}\n"


@pytest.fixture
def under(make_rig: MakeRig, diamond: Topology) -> Callable[..., Rig]:
    """A rig under a policy's spec."""
    return lambda spec, **more: make_rig(policy=parse_policy(HEAD + spec, diamond), **more)


@pytest.fixture
def ask(make_manifest: Callable[..., str]) -> Callable[..., str]:
    """A slice from west/SITE to east/SITE."""

    def written(name: str, site: str, mbps: int, priority: int = 1, tenant: str = "county") -> str:
        text = make_manifest(name, f"west/{site}", f"east/{site}", mbps)
        return text.replace("spec:\n", f"spec:\n  priority: {priority}\n").replace("county", tenant)

    return written


@pytest.fixture
def full(under: Callable[..., Rig], ask: Callable[..., str]) -> Rig:
    """Both ways from west to east are taken by a slice of little importance each, one of another tenant."""
    rig = under(GIVES_WAY)
    rig.apply(ask("own", "a", 80), ask("strange", "b", 80, tenant="city"))
    rig.settle()
    assert {rig.phase("own"), rig.phase("strange")} == {"Active"}
    return rig


def file(rig: Rig, *documents: str, consent: bool = False) -> Mapping[str, Any]:
    return {result.name: result for result in rig.service.apply(rig.intents(*documents), preempt=consent)}


def test_without_consent_it_is_refused_with_the_names_and_nothing_changes(full: Rig, ask: Callable[..., str]) -> None:
    before = full.slice_state()
    decision = file(full, ask("urgent", "c", 60, 9))["urgent"].decision
    assert decision["decision"] == "refused"
    assert decision["preempts"] == ["own"]
    assert decision["reasons"][0]["constraint"] == "policy"
    assert "take the place of own" in decision["reasons"][0]["detail"]
    assert "--preempt" in decision["reasons"][0]["detail"]
    both = file(full, ask("wide", "d", 60, 9, "town"))["wide"].decision["reasons"][0]
    assert "another tenant's slice" in both["detail"]
    assert "own" not in both["detail"].split()
    full.settle()
    assert full.phase("urgent") == "Refused"
    assert full.slice_state() == before
    assert file(full, ask("equal", "e", 60, 2))["equal"].decision.get("preempts") is None  # gap of one


@pytest.mark.parametrize("asked_before", [False, True])
def test_with_consent_it_runs_and_the_victim_is_gone_with_its_reason(
    full: Rig, ask: Callable[..., str], *, asked_before: bool
) -> None:
    urgent = ask("urgent", "c", 60, 9)
    if asked_before:
        assert file(full, urgent)["urgent"].outcome == "created"
    result = file(full, urgent, consent=True)["urgent"]
    assert (result.outcome, result.preempted) == ("unchanged" if asked_before else "created", ("own",))
    assert (full.phase("urgent"), full.phase("own")) == ("Admitted", "Withdrawing")
    full.settle()
    assert (full.phase("urgent"), full.phase("own"), full.phase("strange")) == ("Active", "Refused", "Active")
    assert full.walk("west/c", "east/c").reached == ["east/c"]
    assert full.walk("west/a", "east/a").reached == []
    status, reason, message = full.condition("own", ADMITTED)
    assert (status, reason) == ("False", "PreEmpted")
    assert "pre-empted by urgent" in message
    assert "file it again" in message
    assert file(full, urgent, consent=True)["urgent"].preempted == ()  # once, not again and again
    assert file(full, ask("own", "a", 10))["own"].admitted
    full.settle()
    assert full.phase("own") == "Active"
    assert all(check.repaired == 0 for check in full.drift.run().values())


def test_no_port_is_over_booked_on_the_way(under: Callable[..., Rig], ask: Callable[..., str], switches: Any) -> None:
    rig = under(GIVES_WAY, southbound=switches)
    rig.apply(ask("one", "a", 80), ask("two", "b", 80))
    rig.settle()
    worst: list[float] = []

    def look(node: str) -> None:
        for port in switches.simulator.read(node).own.ports:
            floors_bps = sum(queue.min_rate_bps for queue in port.queues if queue.slice)
            worst.append(floors_bps / port.max_rate_bps)

    switches.after = look
    file(rig, ask("urgent", "c", 60, 9), consent=True)
    rig.settle()
    assert rig.phase("urgent") == "Active"
    assert 0.6 <= max(worst) <= 1


def test_it_waits_for_a_switch_that_keeps_the_victims_rules(
    under: Callable[..., Rig], ask: Callable[..., str], switches: Any
) -> None:
    rig = under(GIVES_WAY, southbound=switches)
    rig.apply(ask("one", "a", 80), ask("two", "b", 80))
    rig.settle()
    gone = SwitchUnreachable("west does not answer")

    def away(changes: Any) -> bool:
        if changes.node == "west":
            raise gone
        return False

    switches.rejects = away
    file(rig, ask("urgent", "c", 60, 9), consent=True)
    for _ in range(6):
        rig.reconciler.work(timeout_s=1.0)
    assert rig.phase("urgent") == "Admitted"
    assert rig.condition("urgent", INSTALLED)[1] == "WaitsForRoom"
    switches.rejects = lambda _: False
    rig.settle()
    assert rig.phase("urgent") == "Active"


def test_all_or_nothing_where_the_filing_breaks_off_and_after_a_crash(
    full: Rig, ask: Callable[..., str], under: Callable[..., Rig]
) -> None:
    urgent, before = ask("urgent", "c", 60, 9), full.slice_state()

    def broken(*_: Any) -> None:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        full.service.apply(full.intents(urgent), preempt=True, also=broken)
    full.settle()
    assert [row.name for row in full.service.list()] == ["own", "strange"]
    assert (full.phase("own"), full.slice_state()) == ("Active", before)
    file(full, urgent, consent=True)
    next_life = under(GIVES_WAY)  # the first one dies before its loop takes a step
    next_life.reconciler.enqueue_all()
    next_life.settle()
    assert (next_life.phase("urgent"), next_life.phase("own")) == ("Active", "Refused")
    assert next_life.walk("west/a", "east/a").reached == []


def test_what_comes_after_a_displacement_is_decided_against_what_is_held(full: Rig, ask: Callable[..., str]) -> None:
    results = file(full, ask("urgent", "c", 60, 9), ask("second", "d", 30, 1), consent=True)
    assert results["urgent"].admitted
    assert not results["second"].admitted  # the victim's rules are on the switches still
    full.settle()
    assert file(full, ask("second", "d", 30, 1))["second"].admitted
    full.settle()
    with full.store.read() as read:
        ledger = Holdings.of(read.slices()).ledger(full.topology)
    assert max(ledger.reserved_bps(port) for port in ledger.floors if port[1] in full.topology.links) <= 100_000_000
    assert full.walk("west/d", "east/d").reached == ["east/d"]


def test_a_quota_holds_over_filings_in_one_transaction_and_gives_back(
    under: Callable[..., Rig], ask: Callable[..., str]
) -> None:
    rig = under("  quotas:\n    county: {bandwidth: 50Mbps, slices: 2}\n")
    first = file(rig, ask("one", "a", 30), ask("two", "b", 30), ask("three", "c", 20), ask("four", "d", 30, 1, "city"))
    assert {name for name, result in first.items() if result.admitted} == {"one", "three", "four"}
    reason = first["two"].decision["reasons"][0]
    assert (reason["constraint"], reason["required"], reason["available"]) == ("policy", 30.0, 20.0)
    assert "quota: tenant county may hold 50" in reason["detail"]
    assert not file(rig, ask("five", "e", 1))["five"].admitted  # slices
    rig.settle()
    rig.service.delete("one")
    rig.settle()
    assert file(rig, ask("two", "b", 30))["two"].admitted


def test_a_quota_holds_for_filings_that_share_a_transaction(under: Callable[..., Rig], ask: Callable[..., str]) -> None:
    rig = under("  quotas:\n    county: {bandwidth: 50Mbps}\n")
    waiting = rig.service.filings._group._waiting
    with ThreadPoolExecutor(3) as pool, rig.store.write():
        calls = [pool.submit(file, rig, ask(f"n{site}", site, 20)) for site in "abc"]
        while len(waiting) < 3:
            threading.Event().wait(0.001)
    admitted = [result.admitted for call in calls for result in call.result().values()]
    assert sorted(admitted) == [False, True, True]


def test_the_share_bounds_filings_and_drains(under: Callable[..., Rig], ask: Callable[..., str]) -> None:
    rig = under("  maxReservable: 50%\n")
    assert not file(rig, ask("over", "a", 60))["over"].admitted
    assert file(rig, ask("one", "a", 40), ask("two", "b", 40))["two"].admitted
    rig.settle()
    with pytest.raises(ConflictError):
        rig.service.drain("wn")  # 80 of 100 Mbit/s on the other way would be more than half
    assert {rig.phase("one"), rig.phase("two")} == {"Active"}


def test_a_filing_whose_bursts_would_break_a_promise_is_refused(
    under: Callable[..., Rig], make_manifest: Callable[..., str]
) -> None:
    """Port waits: the desk counts them beside what is in force, the desk of the next filing too, and dry runs."""

    def of(name: str, site: str, service: str, burst: str, delay: str = "none") -> str:
        text = make_manifest(name, f"west/{site}", f"east/{site}", 10).replace("delay: 50ms", f"delay: {delay}")
        return text.replace("remote-consultation", service).replace("burst: 6KB", f"burst: {burst}")

    rig = under("  portWaits: counted\n")
    rig.service.drain("ws")  # one way for all
    rig.apply(of("video", "a", "remote-surgery-video", "64KB", "60ms"))
    rig.settle()
    surgery = of("surgery", "b", "remote-surgery", "900KB")
    (dry,) = rig.service.plan(rig.intents(surgery))["decisions"]
    assert dry["decision"] == "refused"
    refused = file(rig, surgery)["surgery"].decision
    assert (refused["decision"], refused["reasons"][0]["constraint"]) == ("refused", "policy")
    assert "would break the delay of video" in refused["reasons"][0]["detail"]
    stranger = surgery.replace("county", "city").replace("name: surgery", "name: theirs")
    line = "remote surgery west/b -> east/b: 10 Mbps, burst 900 KB, "
    line += "delay none, jitter none, loss none, availability none"
    (asked,) = rig.service.what_if(Asked(drained=("ws",), lines=(line,)))["added"]
    assert "would break the delay of" in asked["reasons"][0]["detail"]
    detail = file(rig, stranger)["theirs"].decision["reasons"][0]["detail"]
    assert "would break the delay of a slice of another tenant" in detail
    assert rig.apply(of("surgery", "b", "remote-surgery", "3KB")) == {"surgery": "Admitted"}
    rig.settle()
    assert {rig.phase("video"), rig.phase("surgery")} == {"Active"}


PAIRS = 120
CHILD = """
import sys
from conftest import Rig, Simulator, Switches, manifest
from test_service_policy import ladder, policy_of
from carelane.store import Store

topology = ladder()
rig = Rig(topology, Switches(Simulator(topology)), Store(sys.argv[1]), policy=policy_of(topology))
for number in range(len(topology.links)):
    print(number, flush=True)
    low, high = (manifest(f"{kind}-{number}", f"w{number}/a", f"e{number}/a", mbps).replace(
        "spec:\\n", f"spec:\\n  priority: {priority}\\n")
        for kind, mbps, priority in (("low", 80, 1), ("high", 60, 9)))
    rig.service.apply(rig.intents(low))
    rig.service.apply(rig.intents(high), preempt=True)
"""


def ladder() -> Topology:
    """Lines of one link that have nothing to do with each other."""
    text = "apiVersion: carelane/v1\nkind: Topology\nmetadata: {name: ladder}\nspec:\n  nodes:\n"
    text += "".join(f"    - {{id: {side}{n}, kind: switch}}\n" for n in range(PAIRS) for side in "we")
    text += "  links:\n"
    text += "".join(f"    - {{id: l{n}, a: w{n}, b: e{n}, capacity: 100Mbps, length: 1km}}\n" for n in range(PAIRS))
    text += "  endpoints:\n" + "".join(
        f"    - {{id: {side}{n}/a, node: {side}{n}, address: 10.{k}.0.{n + 1}/32, capacity: 1Gbps}}\n"
        for n in range(PAIRS)
        for k, side in enumerate("we")
    )
    return parse_topology(text)


def policy_of(topology: Topology) -> Any:
    return parse_policy(HEAD + GIVES_WAY, topology)


def test_a_killed_process_leaves_no_half_of_a_displacement(tmp_path: Path) -> None:
    """kill -9 in the middle of one displacement after the other: each is whole in the store, or has not happened."""
    for displacements in (1, 4, 7):
        file = tmp_path / f"killed-{displacements}.db"
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, f"sqlite:///{file}"],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
            text=True,
        )
        assert child.stdout is not None
        while (line := child.stdout.readline()) and int(line) < displacements:
            pass
        os.kill(child.pid, signal.SIGKILL)
        child.wait(30)
        child.stdout.close()
        store = Store(f"sqlite:///{file}")
        with store.read() as read:
            slices = {item.name: item for item in Holdings.of(read.slices()).slices}
            filed = {intent.name for intent in read.intents()}
            gone = {name for name in filed if any(step.reason == "PreEmpted" for step in read.history(name))}
        store.close()
        displaced = {name for name in slices if name.startswith("low") and slices[name].retiring}
        assert {f"high-{name.split('-')[1]}" for name in displaced} == {name for name in filed if "high" in name}
        assert displaced == gone
        assert all(not slices[name].retiring for name in slices if name.startswith("high"))
        assert filed == set(slices)
        assert len(displaced) >= displacements
