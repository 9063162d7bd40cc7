"""The gate: paths that keep a promise where the first ones would not, and repairs that break nobody's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from written_networks import ask, network

from carelane.controller.pipeline import plan
from carelane.controller.pipeline.class_queues import shared_bounds
from carelane.controller.pipeline.port_waits import waited_bounds
from carelane.controller.pipeline.replan import replan
from carelane.controller.pipeline.requirement import Requirement
from carelane.policies.admission import AdmissionPolicy
from carelane.topology.failure import Failure

WAITS = AdmissionPolicy("p", port_waits=True)
CLASSES = AdmissionPolicy("p", class_queues=True)
TWO_WAYS = network("""sm: s m 100Mbps 1ms
                      mt: m t 100Mbps 1ms
                      sn: s n 100Mbps 4ms
                      nt: n t 100Mbps 4ms""")


def bulky(name: str) -> Requirement:
    """Much at once, no hurry."""
    return replace(ask(TWO_WAYS, name, rate=2), burst_bytes=160_000)


def urgent(name: str = "urgent", delay_s: float = 0.015) -> Requirement:
    return ask(TWO_WAYS, name, rate=20, delay_s=delay_s)


@pytest.mark.parametrize(("policy", "bounds"), [(WAITS, waited_bounds), (CLASSES, shared_bounds)])
def test_another_way_is_taken_where_the_first_would_not_keep_the_promise(policy, bounds) -> None:  # type: ignore[no-untyped-def]
    plain = plan(TWO_WAYS, [bulky("bulk"), urgent()])
    assert [row.name for row in bounds(TWO_WAYS, plain.decisions) if not row.keeps]
    counted = plan(TWO_WAYS, [bulky("bulk"), urgent()], policy=policy)
    assert [d.paths[0].nodes for d in counted.decisions] == [("s", "m", "t"), ("s", "n", "t")]
    assert all(row.keeps for row in bounds(TWO_WAYS, counted.decisions))
    assert counted.ledger.names == {"bulk", "urgent"}


def test_a_repair_goes_nowhere_where_it_would_break_a_promise_and_the_most_important_is_placed_first() -> None:
    net = network("""sm: s m 100Mbps 1ms
                     mt: m t 100Mbps 1ms
                     sn: s n 100Mbps 4ms
                     nt: n t 100Mbps 4ms
                     so: s o 100Mbps 5ms
                     ot: o t 100Mbps 5ms""")
    low, high = (replace(ask(net, name, rate=20, delay_s=0.038), burst_bytes=60_000) for name in ("low", "high"))
    planned = plan(net, [low, replace(high, priority=9)], policy=WAITS)
    assert [decision.admitted for decision in planned.decisions] == [True, True]
    failed = Failure(links=frozenset({"sm", "sn"}))
    loose = replan(net, planned.decisions, planned.ledger, failed)
    assert [fate.outcome for fate in loose.fates] == ["restored", "restored"]
    assert [row.name for row in waited_bounds(net, [fate.now for fate in loose.fates]) if not row.keeps]
    kept = replan(net, planned.decisions, planned.ledger, failed, policy=WAITS)
    assert [(fate.name, fate.outcome) for fate in kept.fates] == [("low", "broken"), ("high", "restored")]
    (reason,) = kept.fates[0].reasons
    assert (reason.constraint, reason.detail.split(":")[0]) == ("policy", "port waits")


def test_what_is_broken_already_keeps_nobody_out() -> None:
    """Two were admitted by the stated bound and do not keep their promises; a third that changes nothing may come."""
    before = plan(TWO_WAYS, [bulky("bulk"), urgent()])
    late = ask(TWO_WAYS, "late", rate=1)
    found = plan(TWO_WAYS, [late], before.ledger, policy=WAITS, promised=before.decisions)
    assert found.decisions[0].admitted
    waiting = plan(TWO_WAYS, [urgent("late", 0.011)], before.ledger, policy=WAITS, promised=before.decisions)
    assert not waiting.decisions[0].admitted
