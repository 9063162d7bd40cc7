"""Starts and stops the Open vSwitch daemons of this lab, on files and sockets of its own tmpfs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from carelane.lab.agent.commands import run
from carelane.lab.agent.places import Place
from carelane.lab.failures import LabError
from carelane.lab.protocol import GUEST_ADDRESS

__all__ = ["ahead_of_switches", "prefer_packets", "raise_daemon", "start_database", "start_switch_daemon"]

_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
_COMMON = ("--pidfile", "--detach", "--no-chdir", "--log-file", "--verbose=console:off", "--verbose=syslog:off")
# A change of any interface makes the daemon read the system's routes anew; only tunnels need them.
_SWITCH = ("--disable-system-route",)
_CLOCK_FLOOR_S = 10.1
_DAEMON_PRIORITY = 5
_PACKET_PRIORITY = 6
_KERNEL_PRIORITY = 30


def start_database(place: Place) -> None:
    """Start ovsdb-server, on its Unix socket and on tcp for the controller. Raises `LabError`."""
    Path(place.database).unlink(missing_ok=True)
    run(["ovsdb-tool", "create", place.database, _SCHEMA])
    remotes = (f"punix:{place.folder}/db.sock", f"ptcp:{place.ovsdb_port}:{GUEST_ADDRESS}")
    argv = ["ovsdb-server", place.database, *(f"--remote={remote}" for remote in remotes), *_COMMON]
    run(argv, environment=place.environment)
    # One processor: more threads only switch more. Megaflows stay a minute, so that a quiet flow does not pay for a
    # visit to the daemon at every alarm; a hardware table would not forget it either.
    # Statistics are read by OpenFlow; a copy of all of them in the database every five seconds serves nobody.
    settings = ("n-handler-threads=1", "n-revalidator-threads=1", "max-idle=60000", "stats-update-interval=3600000")
    options = [f"other_config:{setting}" for setting in settings]
    record = ["set", "Open_vSwitch", ".", *options, "external_ids:system-id=carelane-lab"]
    run(["ovs-vsctl", "--no-wait", "init", "--", *record], environment=place.environment)


def start_switch_daemon(place: Place, *, userspace: bool) -> None:
    """Start ovs-vswitchd; where permitted, it and its database run before ordinary processes. Raises `LabError`."""
    # ovs-vswitchd counts processors only once its monotonic clock passes ten seconds (count_cpu_cores). On a kernel
    # younger than that it finds none, starts no handler thread and loses every first packet of a flow.
    time.sleep(max(0.0, _CLOCK_FLOOR_S - time.monotonic()))
    run(["ovs-vswitchd", *_COMMON, *_SWITCH], netns=place.netns, environment=place.environment)
    raise_daemon(place, userspace=userspace)


def raise_daemon(place: Place, *, userspace: bool) -> None:
    """Let ovs-vswitchd and its database run before ordinary processes, where that is permitted.

    BFD and first packets must not wait behind bulk senders; real-time probes still come first. `_priority` says how the
    daemon's own threads are ordered. All but the first of them start with the first bridge.
    """
    pid = int(Path(place.folder, "ovs-vswitchd.pid").read_text())
    # No host's sender takes a switch's own processor. Where they share one, a change of queues waited for seconds.
    priorities = {int(Path(place.folder, "ovsdb-server.pid").read_text()): _DAEMON_PRIORITY - 1}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has ended
            thread = "first" if int(task.name) == pid else (task / "comm").read_text().strip()
            priorities[int(task.name)] = _priority(thread, alone=place.netns is not None, userspace=userspace)
    for task_id, priority in priorities.items():
        with suppress(PermissionError, ProcessLookupError):  # not permitted, or a thread that has ended
            os.sched_setscheduler(task_id, os.SCHED_RR, os.sched_param(priority))


def _priority(thread: str, *, alone: bool, userspace: bool) -> int:
    """What a thread of ovs-vswitchd runs at; `alone` when the daemon has one switch.

    The first thread sets ports up and writes to the database; those that see to packets (handlers, revalidators, BFD)
    come before it, or on one processor a flow that must move waits until the books are done. On the `userspace`
    datapath it is the other way round: there the first thread forwards every packet, and without a processor it would
    lose them, whatever the rules say.

    BFD's thread (`monitor`) comes last where each switch has a daemon: all of them keep that time all the while, and
    one whose port lost carrier is not to wait for the four others. A daemon that has all switches is busier than BFD
    can wait for.
    """
    if userspace:
        return _PACKET_PRIORITY if thread == "first" else _DAEMON_PRIORITY
    if alone and thread.startswith("monitor"):
        return _DAEMON_PRIORITY - 1
    return _DAEMON_PRIORITY if thread == "first" else _PACKET_PRIORITY


@contextmanager
def ahead_of_switches(*, own_kernel: bool) -> Iterator[None]:
    """Let this thread, and the programs it starts, run before ovs-vswitchd, where that is permitted.

    A wire is cut by taking one of its ends down after the other. The daemon runs before ordinary processes: woken by
    the first loss of carrier, it would hold up the second until it has dealt with the first.
    """
    if own_kernel:
        _prefer_kernel_threads("kworker/")
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_PACKET_PRIORITY + 1))
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
    Path("/proc/sys/kernel/sched_rr_timeslice_ms").write_text("10")
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
