"""Starts and stops the Open vSwitch daemons of this lab, on files and sockets of its own tmpfs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from carelane.lab.agent.commands import run
from carelane.lab.failures import LabError
from carelane.lab.protocol import GUEST_ADDRESS, OVSDB_PORT

__all__ = ["ahead_of_switches", "prefer_packets", "start_database", "start_switch_daemon"]

_DATABASE = "/etc/openvswitch/conf.db"
_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
_COMMON = ("--pidfile", "--detach", "--no-chdir", "--log-file", "--verbose=console:off")
_CLOCK_FLOOR_S = 10.1
_DAEMON_PRIORITY = 5
_KERNEL_PRIORITY = 30


def start_database() -> None:
    """Start ovsdb-server, on its Unix socket and on tcp for the controller. Raises `LabError`."""
    Path(_DATABASE).unlink(missing_ok=True)
    run(["ovsdb-tool", "create", _DATABASE, _SCHEMA])
    run(
        [
            "ovsdb-server",
            _DATABASE,
            "--remote=punix:/run/openvswitch/db.sock",
            f"--remote=ptcp:{OVSDB_PORT}:{GUEST_ADDRESS}",
            *_COMMON,
        ]
    )
    # One processor: more threads only switch more. Megaflows stay a minute, so that a quiet flow does not pay for a
    # visit to the daemon at every alarm; a hardware table would not forget it either.
    # Statistics are read by OpenFlow; a copy of all of them in the database every five seconds serves nobody.
    settings = ("n-handler-threads=1", "n-revalidator-threads=1", "max-idle=60000", "stats-update-interval=3600000")
    options = [f"other_config:{setting}" for setting in settings]
    run(["ovs-vsctl", "--no-wait", "init"])
    run(["ovs-vsctl", "--no-wait", "set", "Open_vSwitch", ".", *options, "external_ids:system-id=carelane-lab"])


def start_switch_daemon() -> None:
    """Start ovs-vswitchd; where permitted, it and its database run before ordinary processes. Raises `LabError`."""
    # ovs-vswitchd counts processors only once its monotonic clock passes ten seconds (count_cpu_cores). On a kernel
    # younger than that it finds none, starts no handler thread and loses every first packet of a flow.
    time.sleep(max(0.0, _CLOCK_FLOOR_S - time.monotonic()))
    run(["ovs-vswitchd", *_COMMON])
    with suppress(PermissionError):
        # BFD and first packets must not wait behind bulk senders; real-time probes still come first. The userspace
        # datapath forwards every packet in this daemon: without a processor it would lose them, whatever the rules say.
        _raise_daemon("ovs-vswitchd", _DAEMON_PRIORITY)
        # No host's sender takes a switch's own processor. Where they share one, a change of queues waited for seconds.
        _raise_daemon("ovsdb-server", _DAEMON_PRIORITY - 1)


def _raise_daemon(name: str, priority: int) -> None:
    pid = int(Path(f"/run/openvswitch/{name}.pid").read_text())
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setscheduler(int(task.name), os.SCHED_RR, os.sched_param(priority))


@contextmanager
def ahead_of_switches(*, own_kernel: bool) -> Iterator[None]:
    """Let this thread, and the programs it starts, run before ovs-vswitchd, where that is permitted.

    A wire is cut by taking one of its ends down after the other. The daemon runs before ordinary processes: woken by
    the first loss of carrier, it would hold up the second until it has dealt with the first.
    """
    if own_kernel:
        _prefer_kernel_threads("kworker/")
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_DAEMON_PRIORITY + 1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def prefer_packets() -> None:
    """Let the kernel's packet thread run before ordinary processes; only for a kernel that is the lab's own.

    Under load Linux hands packet work to ksoftirqd, an ordinary process. On one processor at HZ=100 it then waits
    for the time slices of the senders, and that wait would be measured as network delay. Linux also keeps 50 ms of
    every second from real-time processes: packets would stand still while the flood's ordinary sender fills the queue
    of received packets (1000 by default) to overflow.
    """
    Path("/proc/sys/kernel/sched_rt_runtime_us").write_text("-1")
    Path("/proc/sys/net/core/netdev_max_backlog").write_text("20000")
    if not _prefer_kernel_threads("ksoftirqd/"):
        raise LabError("the lab kernel has no ksoftirqd thread")


def _prefer_kernel_threads(prefix: str) -> bool:
    """Run the kernel's threads of that name before everything but probes; whether there are any.

    `kworker/` tells programs that a port lost carrier. As ordinary processes they wait for the daemon and the
    receivers, up to 50 ms; on a switch nothing keeps them. The kernel starts new ones as it likes, so that they are
    looked for before each cut.
    """
    found = False
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "comm").read_text().startswith(prefix):
                os.sched_setscheduler(int(entry.name), os.SCHED_FIFO, os.sched_param(_KERNEL_PRIORITY))
                found = True
        except OSError:  # it ended while we looked
            continue
    return found
