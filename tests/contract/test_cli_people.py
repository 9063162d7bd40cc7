"""What people lean on: doctor, explain, watch, completion, backup and restore."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from carelane.cli._output import emit_rows
from carelane.errors import TransientError

Cli = Any
Server = Any
SURGERY = "remote surgery county/or-1 -> province/console-3: 20 ms, 99.99%"


@pytest.fixture(scope="module")
def filed(server: Server, cli: Cli) -> Server:
    """A server with one admitted and one refused intent."""
    assert cli("apply", SURGERY, "--name", "or1", "--url", server.url).code == 0
    assert cli("apply", SURGERY.replace("20 ms", "2 ms"), "--name", "fast", "--url", server.url).code == 3
    return server


def test_explain_gives_every_reason_offer_and_assumption_of_the_decision(call: Cli, topology_file: Path) -> None:
    line = SURGERY.replace("20 ms", "2 ms")
    ran = call("explain", "-t", str(topology_file), line)
    [decision] = json.loads(call("plan", "-t", str(topology_file), line, "-o", "json").out)["decisions"]
    assert ran.code == 3
    assert "is refused" in ran.out
    assert [reason["constraint"] for reason in decision["reasons"]] == ["delay"]
    assert "Asked: 2 ms. Possible: 3.6 ms." in ran.out
    assert all(assumption in ran.out for assumption in decision["assumptions"])
    assert ran.out.count("  - delay ") == len(decision["offers"]) > 0


def test_explain_a_filed_intent(filed: Server, call: Cli) -> None:
    ran = call("explain", "or1", "--url", filed.url)
    assert ran.code == 0
    assert "county > city > province" in ran.out
    assert "It is now Active" in ran.out
    assert call("explain", "fast", "--url", filed.url).code == 3
    assert json.loads(call("explain", "or1", "--url", filed.url, "-o", "json").out)["phase"] == "Active"
    assert call("explain", "nobody", "--url", filed.url).code == 2


def test_watch_tells_each_change_once(filed: Server, call: Cli) -> None:
    ran = call("watch", "--for", "400ms", "--every", "50ms", "-o", "json", "--url", filed.url)
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 0
    assert sorted((row["name"], row["phase"]) for row in rows) == [("fast", "Refused"), ("or1", "Active")]
    assert call("watch", "nobody", "--for", "1ms", "--url", filed.url).code == 2


def test_events_tell_every_step_from_any_step_on(filed: Server, call: Cli) -> None:
    ran = call("events", "--after", "0", "--for", "2s", "-o", "json", "--url", filed.url)
    steps = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 0
    assert [step["phase_to"] for step in steps if step["name"] == "or1"] == [
        "Requested", "Admitted", "Installing", "Active",
    ]  # fmt: skip
    half = steps[len(steps) // 2]["id"]
    rest = call("events", "--after", str(half), "--for", "1s", "--url", filed.url).out.splitlines()
    assert [line.split()[0] for line in rest] == [str(step["id"]) for step in steps if step["id"] > half]
    assert call("events", "--url", "http://127.0.0.1:9").code == 69


def test_doctor_finds_what_is_wrong_and_says_how_to_mend_it(
    call: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken.listen()
        monkeypatch.setenv("CARELANE_REST_PORT", str(taken.getsockname()[1]))
        monkeypatch.setenv("CARELANE_DATABASE", "mysql://nobody@nowhere/none")
        answers = f"tcp:127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("CARELANE_OVSDB", f"s1={answers},s2=unix:{tmp_path}/none.sock")
        ran = call("doctor", "--url", "http://127.0.0.1:9", "-o", "json")
        document = json.loads(ran.out)
    found = {finding["check"]: finding for finding in document["findings"]}
    assert ran.code == 1
    assert not document["fit"]
    ovsdb = [finding["found"] for finding in document["findings"] if finding["check"] == "OVSDB"]
    assert ovsdb == [f"{answers} accepts connections", f"unix:{tmp_path}/none.sock: No such file or directory"]
    assert {check for check, finding in found.items() if finding["status"] == "missing"} >= {
        "database",
        "REST port",
        "OVSDB",
    }
    assert all(finding["remedy"] for finding in found.values() if finding["status"] != "ok")
    assert found["python"]["status"] == found["packages"]["status"] == "ok"
    monkeypatch.delenv("CARELANE_REST_PORT")


def test_doctor_says_when_no_controller_leads_or_the_server_cannot_do_its_work(
    call: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Follower:
        fault: TransientError | None = None

        @classmethod
        def at(cls, _url: str | None) -> Follower:
            return cls()

        def get(self, *path: str) -> dict[str, object]:
            if path == ("readyz",) and self.fault is not None:
                raise self.fault
            return {"switches": [], "role": "follower", "epoch": 7, "leader": None}

    monkeypatch.setattr("carelane.cli._checks_server.Client", Follower)
    for fault, check, words in (
        (None, "controller", "no controller leads"),
        (TransientError("the database did not answer"), "switches", "the database did not answer"),
    ):
        Follower.fault = fault
        ran = call("doctor", "--for", "switches", "-o", "json")
        found = {item["check"]: item for item in json.loads(ran.out)["findings"]}
        assert (ran.code, found[check]["status"]) == (1, "missing")
        assert words in found[check]["found"]


def test_doctor_says_whose_folder_it_may_not_enter_and_asks_for_no_program_that_is_there(
    call: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a user without root's rights and without root's path."""

    def refuse(_url: str) -> str:
        raise PermissionError(13, "Permission denied", "/root/carelane.db")

    monkeypatch.setattr("carelane.store.backup.revision", refuse)
    monkeypatch.setattr("carelane.cli._checks_lab._LAB_PROGRAMS", {"tc": "iproute2"})
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = call("doctor", "--url", "http://127.0.0.1:9", "-o", "json")
    found = {(item["purpose"], item["check"]): item for item in json.loads(ran.out)["findings"]}
    database = found["server", "database"]
    assert (database["status"], database["found"]) == ("missing", "/root/carelane.db: Permission denied")
    assert "read and write there" in database["remedy"]
    in_place = shutil.which("tc", path="/usr/sbin:/sbin") is not None
    assert (found["lab", "programs"]["status"] == "ok") is in_place


def test_doctor_looks_without_making_anything(
    filed: Server, call: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARELANE_DATABASE", f"sqlite:///{tmp_path}/folder/new.db")
    monkeypatch.setenv("CARELANE_REST_PORT", filed.url.rpartition(":")[2])
    ran = call("doctor", "--url", filed.url)
    assert ran.code == 0, ran.out
    assert "a carelane server answers" in ran.out
    assert "all 3 connected" in ran.out
    assert not (tmp_path / "folder").exists()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    """The printed script, sourced by a real bash, answers as the shell's own completion would call it."""
    (tmp_path / "carelane").write_text(f'#!/bin/sh\nexec {sys.executable} -m carelane "$@"\n', encoding="utf-8")
    (tmp_path / "carelane").chmod(0o755)
    script = (
        f"PATH={tmp_path}:$PATH; source <(carelane completion bash); "
        'complete_line() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); '
        '_carelane_completion carelane; echo "${COMPREPLY[@]}"; }; '
        "complete_line carelane top; complete_line carelane plan -o ''"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["topology", "json yaml table"]
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script_too(call: Cli, shell: str) -> None:
    assert f"complete_{shell}" in call("completion", shell).out


def test_backup_while_the_server_runs_then_restore_elsewhere(filed: Server, call: Cli, tmp_path: Path) -> None:
    running, copy = f"sqlite:///{filed.folder}/.carelane/carelane.db", tmp_path / "copy.carelane"
    assert call("backup", str(copy), "--database", running).code == 0
    other = f"sqlite:///{tmp_path}/other.db"
    assert call("restore", str(copy), "--database", other).code == 0
    again = call("restore", str(copy), "--database", other)
    assert again.code == 2
    assert "--force" in again.err
    assert call("restore", str(copy), "--database", other, "--force").code == 0
    assert call("backup", str(copy), "--database", running).code == 2


def test_no_control_character_reaches_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    emit_rows(("NAME",), [("or1\x1b[2J\x07",), ("远程",)])
    printed = capsys.readouterr().out
    assert "or1\\x1b[2J\\x07" in printed
    assert "\x1b" not in printed
    assert "远程" in printed


def test_lists_of_the_server_tell_what_was_done_and_what_is_left(filed: Server, call: Cli) -> None:
    def shown(*words: str) -> Any:
        return json.loads(call(*words, "--url", filed.url, "-o", "json").out)

    links = shown("capacity")["links"]
    used = [row for row in links if row["slices"]]
    assert used
    assert all(row["reserved_mbps"] > 0 for row in used)
    assert used[0]["link"] in call("capacity", "--url", filed.url).out
    steps = shown("history", "or1")["history"]
    assert (steps[0]["phase_to"], shown("history", "or1", "--limit", "1")["history"]) == ("Active", steps[:1])
    assert "Active" in call("history", "or1", "--url", filed.url).out
    entries = shown("audit", "--target", "or1")["entries"]
    assert entries
    assert {entry["target"] for entry in entries} == {"or1"}
    assert entries[0]["action"] in call("audit", "--target", "or1", "--url", filed.url).out
    assert shown("drains") == {"drains": []}
    assert "nothing is drained" in call("drains", "--url", filed.url).out
    assert shown("compliance", "or1")["name"] == "or1"
    assert call("compliance", "--url", filed.url).code == 0
    for words in (("history", "nobody"), ("compliance", "nobody"), ("accept", "nobody")):
        assert call(*words, "--url", filed.url).code == 2


def test_an_offer_is_accepted_by_its_number(filed: Server, call: Cli) -> None:
    """`or1` makes room meanwhile: nothing is offered beside a slice of the same packets."""
    assert call("delete", "or1", "--url", filed.url).code == 0
    assert call("apply", SURGERY.replace("20 ms", "2 ms"), "--name", "fast", "--url", filed.url).code == 3
    assert call("accept", "fast", "--offer", "99", "--url", filed.url).code == 2
    ran = call("accept", "fast", "--url", filed.url, "-o", "json")
    [row] = json.loads(ran.out)["intents"]
    assert (ran.code, row["name"], row["phase"]) == (0, "fast", "Active")
    assert call("delete", "fast", "--url", filed.url).code == 0
    assert call("apply", SURGERY, "--name", "or1", "--url", filed.url).code == 0
    assert call("apply", SURGERY.replace("20 ms", "2 ms"), "--name", "fast", "--url", filed.url).code == 3
