"""The access policy over simulated switches: what it forbids has no rule anywhere, and windows close and open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carelane.controller.reconcile.access import AccessControl
from carelane.controller.service import IntentService
from carelane.policies.access.manifest import parse_policy

POLICY = """\
apiVersion: carelane/v1
kind: AccessPolicy
metadata: {name: p}
spec:
  rules:
    - {name: night, effect: deny, devices: [west/a], when: {from: '20:00', to: '06:00'}}
    - {name: slow, devices: [west/b], maxRate: 5Mbps}
    - {name: never, effect: deny, devices: [west/c]}
"""


@pytest.fixture
def clock() -> list[datetime]:
    return [datetime(2026, 6, 1, 12, 0, tzinfo=UTC)]


@pytest.fixture
def guarded(rig: Any, clock: list[datetime]) -> Any:
    access = AccessControl(rig.topology, parse_policy(POLICY), lambda: clock[0])
    rig.service = IntentService(rig.topology, rig.reconciler, rig.drift, access=access)
    return rig


def test_what_is_forbidden_is_refused_named_counted_and_on_no_switch(guarded: Any, make_manifest: Any) -> None:
    phases = guarded.apply(
        make_manifest("ok", "west/d", "east/d"), make_manifest("fast", "west/b", "east/b", 10),
        make_manifest("no", "west/c", "east/c"),
    )  # fmt: skip
    guarded.settle()
    assert phases == {"ok": "Admitted", "fast": "Refused", "no": "Refused"}
    for name, rule in (("fast", "slow"), ("no", "never")):
        (reason,) = guarded.service.describe(name).decision["reasons"]
        assert reason["constraint"] == "policy"
        assert rule in reason["detail"]
    assert guarded.service.access.counts() == {"slow": 1, "never": 1}
    assert guarded.walk("west/d", "east/d").reached == ["east/d"]
    assert guarded.walk("west/c", "east/c").reached == []
    plan = guarded.service.plan(guarded.intents(make_manifest("no2", "west/c", "east/e")))
    assert plan["decisions"][0]["decision"] == "refused"
    assert guarded.apply(make_manifest("fast", "west/b", "east/b", 5)) == {"fast": "Admitted"}


def test_a_window_that_closes_takes_the_slice_off_and_one_that_opens_brings_it_back(
    guarded: Any, make_manifest: Callable[..., str], clock: list[datetime]
) -> None:
    guarded.apply(make_manifest("day", "west/a", "east/a"), make_manifest("other", "west/d", "east/d"))
    guarded.settle()
    assert guarded.service.enforce_access() == ()
    assert guarded.walk("west/a", "east/a").reached == ["east/a"]
    before = guarded.walk("west/d", "east/d").reached
    clock[0] += timedelta(hours=8)
    assert guarded.service.enforce_access() == ("day",)
    guarded.settle()
    assert guarded.phase("day") == "Refused"
    assert guarded.walk("west/a", "east/a").reached == []
    assert guarded.walk("west/d", "east/d").reached == before
    status, reason, message = guarded.condition("day", "Admitted")
    assert (status, reason) == ("False", "AccessClosed")
    assert "night" in message
    assert guarded.service.enforce_access() == ()
    clock[0] += timedelta(hours=12)
    assert guarded.service.enforce_access() == ("day",)
    guarded.settle()
    assert guarded.phase("day") == "Active"
    assert guarded.service.describe("day").summary.generation == 1
    assert guarded.walk("west/a", "east/a").reached == ["east/a"]
