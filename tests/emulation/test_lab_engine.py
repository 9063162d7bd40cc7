"""The lab for real: traffic arrives, wires fail both ways, promises are measured, and nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_needs import NEEDS_LAB, skip_without_delay

import carelane
from carelane.controller.pipeline.changes import Operation
from carelane.controller.pipeline.program import PortBfd
from carelane.controller.southbound.ovsdb import Ovsdb
from carelane.controller.southbound.ovsdb_remotes import ovsdb_remotes
from carelane.errors import SwitchUnreachable
from carelane.lab.failures import LabError
from carelane.lab.lab import Lab
from carelane.lab.measure import figures
from carelane.lab.network import LabHost, LabNetwork, LabSwitch, LabWire
from carelane.lab.plain import plain_flows
from carelane.lab.scenario import ScenarioContext
from carelane.lab.scenarios.kernel_check import KernelCheck
from carelane.lab.traffic.models import HAPTIC, TcpTransfer, flood
from carelane.lab.traffic.plan import Bucket, Flow, TrafficPlan

pytestmark = NEEDS_LAB

NETWORK = LabNetwork(
    (LabSwitch("county hospital, east", 0xA1), LabSwitch("province", 2)),
    (LabWire("fibre/1", "county hospital, east", 1, "province", 1, delay_s=0.004, rate_bps=20_000_000),),
    (
        LabHost("or-1", "county hospital, east", 7, "10.1.0.11/32", "02:00:00:00:00:01"),
        LabHost("console", "province", 7, "10.3.0.11/24", "02:00:00:00:00:02"),
    ),
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    skip_without_delay()
    with Lab.open() as opened:
        opened.build(NETWORK, controller=False)
        for switch, flows in plain_flows(NETWORK).items():
            opened.add_flows(switch, flows)
        yield opened


def _state(lab: Lab) -> dict[str, str]:
    """Link state by interface of the wire, as the controller would read it."""
    out = lab.run(["ovs-vsctl", "--format=json", "--columns=name,link_state,external_ids", "list", "Interface"])
    rows = json.loads(out)["data"]
    return {name: state for name, state, ids in rows if ["carelane:link", "fibre/1"] in ids[1]}


def test_declared_names_travel_as_external_ids(lab: Lab) -> None:
    out = json.loads(lab.run(["ovs-vsctl", "--format=json", "--columns=name,external_ids", "list", "Bridge"]))
    names = {name: dict(ids[1])["carelane:node"] for name, ids in out["data"]}
    assert names == {"s1": "county hospital, east", "s2": "province"}
    assert set(_state(lab)) == {"s1-eth1", "s2-eth1"}
    ports = lab.run(["ovs-vsctl", "get", "Interface", "s1-eth7", "ofport", "external_ids:carelane\\:endpoint"])
    assert ports.split() == ["7", "or-1"] or ports.split() == ["7", '"or-1"']


def test_every_packet_is_accounted_for_and_takes_the_wire_delay(lab: Lab) -> None:
    plan = TrafficPlan(
        (
            Flow("haptic", "or-1", "console", HAPTIC, dscp=46, duration_s=2.0, realtime=True),
            Flow("shaped", "or-1", "console", flood(8_000_000), duration_s=2.0, bucket=Bucket(2_000_000, 6_000)),
            Flow("study", "or-1", "console", TcpTransfer(400_000), measured=False),
        )
    )
    lab.start(plan)
    run = lab.collect()
    haptic, shaped = figures(run.flows["haptic"]), figures(run.flows["shaped"])
    assert (haptic.attempted, haptic.lost, haptic.duplicates, run.overflow) == (2000, 0, 0, 0)
    assert haptic.delay is not None
    assert haptic.delay.minimum_s >= 0.004
    assert haptic.delay.p50_s < 0.006
    assert shaped.goodput_bps < 2_200_000, "the sender keeps to its bucket"
    assert run.tcp["study"][0] == 400_000
    assert len(run.noise.sequence) > 0


def test_both_kinds_of_cut_stop_traffic_and_only_one_shows(lab: Lab) -> None:
    assert lab.ping("or-1", "console")
    assert set(_state(lab).values()) == {"up"}
    lab.cut("fibre/1", silent=False)
    assert not lab.ping("or-1", "console")
    assert set(_state(lab).values()) == {"down"}
    lab.restore("fibre/1")
    assert lab.ping("or-1", "console")
    lab.cut("fibre/1", silent=True)
    assert not lab.ping("or-1", "console")
    assert set(_state(lab).values()) == {"up"}, "carrier stays"
    with pytest.raises(LabError, match="cut already"):
        lab.cut("fibre/1")
    lab.restore("fibre/1")
    assert lab.ping("or-1", "console")
    with pytest.raises(LabError, match="no wire"):
        lab.cut("nothing")


def test_full_size_packets_with_labels_fit(lab: Lab) -> None:
    lab.run(["ping", "-c", "1", "-W", "2", "-M", "do", "-s", "1472", "10.3.0.11"], host="or-1")
    links = lab.run(["ip", "-o", "link", "show", "s1-eth1"])
    assert "mtu 1600" in links


def test_only_diagnostics_run_beside_the_switches(lab: Lab) -> None:
    with pytest.raises(LabError, match="is not one of"):
        lab.run(["sh", "-c", "true"])
    with pytest.raises(LabError, match="no host"):
        lab.run(["ip", "link"], host="nobody")


def test_a_program_in_the_cell_reaches_the_switch_database(lab: Lab) -> None:
    out = lab.cell.check(["ovs-vsctl", f"--db={lab.ovsdb_target}", "list-br"])
    assert out.split() == ["s1", "s2"]
    sleeper = lab.spawn(["sleep", "60"])
    time.sleep(0.2)
    sleeper.kill()
    assert sleeper.wait(5) == -signal.SIGKILL


def test_switches_may_have_an_open_vswitch_each() -> None:
    """Each has its own database, told apart by `--ovsdb`, and a wire between two of them works as any other."""
    network = LabNetwork(
        (LabSwitch("west", 0xA1), LabSwitch("east", 0xA2)),
        (LabWire("fibre/1", "west", 1, "east", 1),),
        (
            LabHost("or-1", "west", 7, "10.1.0.11/32", "02:00:00:00:00:01"),
            LabHost("console", "east", 7, "10.3.0.11/32", "02:00:00:00:00:02"),
        ),
    )
    with Lab.open("userspace") as lab:
        lab.build(network, controller=False, each=True)
        for switch, flows in plain_flows(network).items():
            lab.add_flows(switch, flows)
        assert lab.ping("or-1", "console")
        lab.cut("fibre/1")
        assert not lab.ping("or-1", "console")
        lab.restore("fibre/1")
        assert lab.ping("or-1", "console")
        remotes = ovsdb_remotes(lab.ovsdb_target, {switch.name: switch.dpid for switch in network.switches})
        assert not isinstance(remotes, str)
        # A third server does not answer: that keeps nobody else from learning who leads.
        ovsdb = Ovsdb({**remotes, 0xA3: "tcp:127.0.0.1:1"}, timeout_s=5.0)
        try:
            lab.inside(lambda: ovsdb.claim(7))
            lab.inside(lambda: ovsdb.apply(0xA2, [Operation("add", PortBfd(1, 100))]))
            with pytest.raises(SwitchUnreachable):
                lab.inside(lambda: ovsdb.read(0xA3))
        finally:
            ovsdb.close()
        for switch, bridge, bfd in (
            ("west", "s1", "{}"),
            ("east", "s2", '{enable="true", min_rx="100", min_tx="100"}'),
        ):
            assert lab.run(["ovs-vsctl", "list-br"], switch=switch).split() == [bridge]
            assert lab.run(["ovs-vsctl", "get", "Interface", f"{bridge}-eth1", "bfd"], switch=switch).strip() == bfd
            epoch = lab.run(["ovs-vsctl", "get", "Open_vSwitch", ".", "external_ids:carelane\\:epoch"], switch=switch)
            assert epoch.strip() == '"7"'


def test_userspace_forwards_and_both_cuts_work() -> None:
    with Lab.open("userspace") as lab:
        lab.build(NETWORK, controller=False)
        for switch, flows in plain_flows(NETWORK).items():
            lab.add_flows(switch, flows)
        assert lab.ping("or-1", "console")
        for silent in (False, True):
            lab.cut("fibre/1", silent=silent)
            assert not lab.ping("or-1", "console")
            lab.restore("fibre/1")
            assert lab.ping("or-1", "console")


def test_kernel_check_measures_a_queue_that_works_and_one_that_is_missing() -> None:
    skip_without_delay()
    report = KernelCheck(seconds=2.0).run(ScenarioContext(None, seed=1, say=lambda _: None))
    # Verdicts depend on how busy the machine is, and no test may; what queueing does is far beyond that.
    by_mode = {(verdict.mode, verdict.objective): verdict for verdict in (*report.objectives, *report.comparisons)}
    assert by_mode["queue", "delay"].samples == by_mode["idle", "delay"].samples == 2000
    assert by_mode["queue", "loss"].passed
    assert all(check.passed for check in report.checks)
    assert by_mode["no-queue", "delay"].over_noise > 0.9 * by_mode["no-queue", "delay"].samples
    assert not by_mode["no-queue", "loss"].passed, "the flood overruns the shared queue"
    assert by_mode["queue", "delay"].over_noise < 100


SUPERVISOR = """
import sys, time
from carelane.lab.failures import LabError
from carelane.lab.lab import Lab
from carelane.lab.network import LabNetwork, LabSwitch
lab = Lab.open(sys.argv[1] or None)
lab.build(LabNetwork((LabSwitch("a", 1),)), controller=False)
lab.spawn(["sleep", "4242"])
print("ready", flush=True)
time.sleep(300)
"""


def _traces() -> dict[str, set[str]]:
    """What a lab could leave: processes of its programs, network namespaces, mounts, interfaces, temporary files."""
    programs = ("linux.uml", "ovs-vswitchd", "ovsdb-server", "sleep4242", "mininet:")
    processes, namespaces = set(), set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b"").decode(errors="replace")
                namespaces.add(str((entry / "ns/net").readlink()))
            except OSError:
                continue
            if any(program in line for program in programs):
                processes.add(f"{entry.name} {line[:80]}")
    mounts = {line for line in Path("/proc/mounts").read_text().splitlines() if "carelane" in line}
    links = {entry.name for entry in Path("/sys/class/net").iterdir()}
    temporary = {entry.name for folder in ("/tmp", "/run", "/dev/shm") for entry in Path(folder).iterdir()}
    ours = {name for name in temporary if "carelane" in name or "uml" in name.lower() or "vm_file" in name}
    return {"processes": processes, "namespaces": namespaces, "mounts": mounts, "links": links, "files": ours}


@pytest.mark.parametrize("substrate", ["", "userspace"])
def test_a_killed_supervisor_leaves_nothing(substrate: str) -> None:
    skip_without_delay()
    before = _traces()
    environment = os.environ | {"PYTHONPATH": str(Path(carelane.__file__).parents[1])}
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, substrate], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert supervisor.stdout is not None
    assert supervisor.stdout.readline() == "ready\n"
    during = _traces()
    assert during["processes"] - before["processes"], "the check sees a running lab"
    assert during["namespaces"] - before["namespaces"]
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    deadline = time.monotonic() + 15
    while (left := {what: after - before[what] for what, after in _traces().items()}) and any(left.values()):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
