"""Long work says how far it is: a bar on a terminal, lines where they are asked for, nothing in scripts."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

Cli = Any
MANY = 40


@pytest.fixture
def many(intent_text: str, tmp_path: Path) -> Path:
    """More surgeries than the example's links carry, so that remedies are looked for as well."""
    path = tmp_path / "many.yaml"
    texts = (intent_text.replace("or1-surgery", f"s{number}") for number in range(MANY))
    path.write_text("---\n".join(texts), encoding="utf-8")
    return path


def test_scripts_see_nothing_of_it(cli: Cli, topology_file: Path, many: Path) -> None:
    plain = cli("plan", "-t", str(topology_file), "-f", str(many), "-o", "json")
    told = cli("plan", "-t", str(topology_file), "-f", str(many), "-o", "json", "--progress")
    assert plain.code == 3
    assert plain.err == ""
    assert (told.code, told.out) == (plain.code, plain.out)
    steps = [line.partition(":")[0] for line in told.err.splitlines()]
    assert list(dict.fromkeys(steps)) == ["deciding", "looking for remedies"]
    assert f"deciding: 20 of {MANY}" in told.err
    assert len(steps) == 20


def test_a_batch_and_a_sweep_tell_their_steps(call: Cli, topology_file: Path, many: Path, intent_file: Path) -> None:
    batch = call("plan", "-t", str(topology_file), "-f", str(many), "--optimize", "--progress", "-o", "json")
    steps = [line.partition(":")[0] for line in batch.err.splitlines()]
    assert list(dict.fromkeys(steps)) == ["packing", "deciding", "looking for remedies"]
    files = ("-t", str(topology_file), "-f", str(intent_file))
    swept = call("whatif", *files, "--sweep", "--workers", "1", "--progress", "-o", "json")
    failures = len(json.loads(swept.out)["failures"])
    assert f"single failures: {failures} of {failures}" in swept.err
    assert call("whatif", *files, "--sweep", "--workers", "1", "-o", "json").err == ""


def test_a_terminal_shows_a_bar_and_keeps_the_answer_apart(topology_file: Path, many: Path, tmp_path: Path) -> None:
    """stderr is a terminal, stdout a file, as with `carelane plan ... > plan.json` at a desk."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "carelane", "plan", "-t", str(topology_file), "-f", str(many), "-o", "json"]
    with (tmp_path / "plan.json").open("wb") as plan:
        process = subprocess.Popen(command, stdout=plan, stderr=theirs, env=os.environ | {"TERM": "xterm"})
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:
        pass  # the terminal's other end is closed
    os.close(ours)
    assert process.wait(60) == 3
    assert b"remedies" in shown
    assert b"s39" not in shown
    assert len(json.loads((tmp_path / "plan.json").read_text())["decisions"]) == MANY
