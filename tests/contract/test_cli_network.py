"""`carelane verify`, `drain`, `undrain` and `reoptimise` against a running server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carelane.cli._network import run_drain

Cli = Any
Server = Any


@pytest.fixture
def at(server: Server, call: Cli, intent_file: Path) -> Iterator[Cli]:
    """Runs a command against the module's server, on which one intent is installed."""

    def run(command: str, *arguments: str) -> Any:
        return call(command, *arguments, "--url", server.url)

    assert run("apply", "-f", str(intent_file)).code == 0
    yield run
    assert run("delete", "or1-surgery").code == 0


def test_what_the_switches_hold_is_proven(at: Cli) -> None:
    ran = at("verify")
    assert ran.code == 0
    assert "1 slices on 3 switches: proven" in ran.out
    answer = json.loads(at("verify", "-o", "json").out)
    assert (answer["proven"], answer["faults"], answer["unread"], answer["moving"]) == (True, [], {}, [])
    assert answer["beside"] == {}


def test_a_drained_link_is_left_and_the_last_path_cannot_be_taken(at: Cli) -> None:
    drained = at("drain", "l1")
    assert drained.code == 0
    assert "or1-surgery: on its other path, without protection until this is undone" in drained.out
    assert "proven" in at("verify").out
    refused = at("drain", "l3")
    assert refused.code == 2
    assert "l3 cannot be drained: 1 slices would be left without a path (or1-surgery" in refused.err
    back = at("undrain", "l1")
    assert back.code == 0
    assert "l1 is in service" in back.out
    settled = at("reoptimise", "--dry-run")
    assert (settled.code, settled.out.strip()) == (0, "0 slices would move")
    evened = json.loads(at("reoptimise", "--balance", "--gain", "20%", "--dry-run", "-o", "json").out)
    assert (evened["moved"], evened["why"], evened["dry_run"]) == ([], {}, True)
    assert evened["fullest"]["before"] == evened["fullest"]["after"] > 0
    assert "proven" in at("verify").out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--balance", "--undo"), "give one of them"),
        (("--balance", "--gain", "much"), "is not a ratio"),
        (("--balance", "--gain", "0.5%"), "a share from 1% to 100%"),
    ],
)
def test_a_re_optimisation_that_makes_no_sense_is_refused(at: Cli, arguments: tuple[str, ...], told: str) -> None:
    ran = at("reoptimise", *arguments)
    assert ran.code == 2
    assert told in ran.err


def test_ends_of_slices_and_strangers_are_told(at: Cli) -> None:
    refused = at("drain", "county")
    assert refused.code == 2
    assert "county cannot be drained: or1-surgery begin or end there" in refused.err
    assert at("drain", "nowhere").code == 2
    assert at("undrain", "l2").code == 2


def test_a_forced_drain_is_stored_and_undone(at: Cli) -> None:
    ran = at("drain", "province", "--force", "--no-wait")
    assert ran.code == 0
    assert "or1-surgery: left without a path" in ran.out
    assert at("undrain", "province").code == 0


class Rejecting:
    """A server whose only slice has gone back to the drained link."""

    def post(self, *_: str, **__: object) -> dict[str, Any]:
        return {"target": "l1", "moved": ["one"], "staying": [], "stuck": []}

    def get(self, *path: str) -> dict[str, Any]:
        paths = [{"links": ["l1"], "nodes": ["county", "city"]}]
        return {"moving": []} if path[-1] == "verification" else {"running_decision": {"paths": paths}}

    def rows(self, *_: str, **__: object) -> list[dict[str, Any]]:
        return [{"name": "one", "phase": "Active"}]


def test_a_drain_says_what_still_uses_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("carelane.cli._network.Client.at", lambda _: Rejecting())
    assert run_drain(None, "l1", force=False, wait=True, timeout="1s", output="table") == 1
    assert "l1 is still used by one" in capsys.readouterr().err
