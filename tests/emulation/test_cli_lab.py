"""`carelane lab` as a process: a prompt in a running network, and exit codes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.root, pytest.mark.ovs, pytest.mark.lab]


@pytest.fixture(autouse=True)
def needs_root_and_ovs() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if shutil.which("ovs-vswitchd") is None:
        pytest.skip("needs Open vSwitch")


def lab(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "carelane", "lab", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)


def test_the_shell_speaks_as_hosts_and_cuts_wires() -> None:
    script = """\
or-1 ping -c 1 -W 2 10.3.0.11
ovs-ofctl -O OpenFlow13 dump-flows s1
"an open quote
no-such-program
cut county-city
or-1 ping -c 1 -W 1 10.3.0.11
restore county-city
or-1 ping -c 1 -W 2 10.3.0.11
exit
"""
    ran = lab("shell", "--substrate", "userspace", stdin=script)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("1 packets transmitted, 1 received") == 2
    assert "nw_dst=10.3.0.11" in ran.stdout
    assert "No closing quotation" in ran.stderr
    assert "no-such-program" in ran.stderr
    assert "100% packet loss" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_unknown_scenario_is_bad_input_and_names_the_known() -> None:
    known = lab("list")
    assert known.returncode == 0
    assert "kernel-check" in known.stdout
    ran = lab("run", "no-such-scenario", "--report", "nowhere")
    assert ran.returncode == 2
    assert "kernel-check" in ran.stderr
