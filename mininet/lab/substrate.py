"""Where the switches of a lab run: the host's kernel, Debian's lab kernel, or the userspace datapath.

`host`        the machine's own kernel has openvswitch, netem, HTB and the mirred action: everything runs in the cell.
`lab-kernel`  Debian's user-mode Linux, booted in the cell with the host's file system as its root (no image). The
              switches see a kernel of their own; controller and planner stay outside on another processor and reach
              it over a tap, as they would reach real switches.
`userspace`   Open vSwitch's own datapath in the cell. For functional tests: no wire delay, queues are not chosen by
              set_queue, so no promise about delay can be checked on it.

On all three the agent answers on the same address and the code inside is the same.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import carelane
from carelane.lab.cell import WORK, Cell, CellProcess
from carelane.lab.failures import LabError
from carelane.lab.protocol import CELL_ADDRESS, GUEST_ADDRESS, SWITCH_ADDRESSES

__all__ = ["HOST_MODULES", "LAB_KERNEL", "SUBSTRATES", "Substrate", "SubstrateName", "boot", "choose"]

SubstrateName = Literal["host", "lab-kernel", "userspace"]
SUBSTRATES: tuple[SubstrateName, ...] = ("host", "lab-kernel", "userspace")

LAB_KERNEL = "linux.uml"
CONSOLE = f"{WORK}/console.log"
_TAP = "lab0"
_GUEST_NICE = -20
"""Before the host's ordinary work. Not real-time: Linux stops a real-time process for what is left of a second once it
has used 95% of it (sched_rt_runtime_us), and a busy guest stood still for 50 ms of every second."""
_MEMORY = "1536M"  # an upper limit; the host gives pages only as the guest touches them
HOST_MODULES = ("openvswitch", "sch_netem", "sch_htb", "act_mirred", "cls_u32", "veth", "mpls_router", "mpls_gso")
_GUEST_MODULES = (*HOST_MODULES, "tun", "sch_ingress")


@dataclass(frozen=True, slots=True)
class Substrate:
    """The choice made and why, in words for the user."""

    name: SubstrateName
    reason: str

    @property
    def has_delay(self) -> bool:
        """Whether wires have delay and queues are real, so that promises can be measured."""
        return self.name != "userspace"


def choose(cell: Cell, wanted: SubstrateName | None = None) -> Substrate:
    """Pick the first of host, lab-kernel, userspace that works here, or check the wanted one. Raises `LabError`."""
    if shutil.which("ovs-vswitchd") is None:
        raise LabError("Open vSwitch is not installed; apt-get install openvswitch-switch mininet user-mode-linux")
    probes: dict[SubstrateName, Callable[[Cell], str]] = {
        "host": _host_obstacle,
        "lab-kernel": _lab_kernel_obstacle,
        "userspace": _userspace_obstacle,
    }
    if wanted is not None:
        if obstacle := probes[wanted](cell):
            raise LabError(f"the lab cannot run on {wanted}: {obstacle}")
        return Substrate(wanted, "asked for")
    obstacles: list[str] = []
    for name in SUBSTRATES:
        obstacle = probes[name](cell)
        if not obstacle:
            return Substrate(name, "; ".join(obstacles) or f"kernel {platform.release()} has all the lab needs")
        obstacles.append(f"not {name}: {obstacle}")
    raise LabError(f"the lab cannot run here: {'; '.join(obstacles)}")


def _first_failure(cell: Cell, commands: Sequence[str]) -> str:
    for command in commands:
        done = cell.run(shlex.split(command))
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            return f"{command}: {said[0] if said else done.returncode}"
    return ""


def _host_obstacle(cell: Cell) -> str:
    # Loading a module is all that may change on the host; where it fails the probes below say what is missing.
    if shutil.which("modprobe"):
        subprocess.run(["modprobe", "--all", "--quiet", *HOST_MODULES], capture_output=True, check=False)
    try:
        return _first_failure(
            cell,
            [
                "ip link add clprobe0 type veth peer name clprobe1",
                "tc qdisc add dev clprobe0 root netem delay 1ms",
                "tc qdisc replace dev clprobe0 root htb",
                "tc qdisc add dev clprobe1 clsact",
                "tc filter add dev clprobe1 ingress protocol all u32 match u32 0 0 "
                "action mirred egress redirect dev clprobe0",
                "ovs-dpctl add-dp clprobe2",
                "ovs-dpctl del-dp clprobe2",
            ],
        )
    finally:
        cell.run(["ip", "link", "del", "clprobe0"])


def _lab_kernel_obstacle(_: Cell) -> str:
    if platform.machine() != "x86_64":
        return f"user-mode Linux does not run on {platform.machine()}"
    if shutil.which(LAB_KERNEL) is None:
        return f"{LAB_KERNEL} is not installed (apt-get install user-mode-linux)"
    if not Path("/dev/net/tun").exists():
        return "/dev/net/tun is missing"
    return ""


def _userspace_obstacle(cell: Cell) -> str:
    try:
        return _first_failure(cell, ["ip link add clprobe0 type veth peer name clprobe1"])
    finally:
        cell.run(["ip", "link", "del", "clprobe0"])


def boot(cell: Cell, substrate: Substrate, say: Callable[[str], None]) -> CellProcess:
    """Start the agent on the substrate; it listens on GUEST_ADDRESS:AGENT_PORT a moment later."""
    if substrate.name == "lab-kernel":
        return _boot_lab_kernel(cell, say)
    for address in (CELL_ADDRESS, GUEST_ADDRESS):
        cell.check(["ip", "address", "add", f"{address}/32", "dev", "lo"])
    with cell.path(CONSOLE).open("wb") as console:
        return cell.spawn(_agent_argv(), env=_agent_env(), stdout=console, stderr=subprocess.STDOUT)


def _agent_argv() -> list[str]:
    return [sys.executable, "-B", "-m", "carelane.lab.agent"]


def _agent_env() -> dict[str, str]:
    search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {
        "PATH": search,
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "TMPDIR": "/run",
        "SHELL": "/bin/sh",
        "PYTHONPATH": str(Path(carelane.__file__).parents[1]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _boot_lab_kernel(cell: Cell, say: Callable[[str], None]) -> CellProcess:
    for command in (
        f"ip tuntap add {_TAP} mode tap",
        f"ip address add {CELL_ADDRESS}/30 dev {_TAP}",
        f"ip link set {_TAP} up",
        f"ip route add {SWITCH_ADDRESSES} via {GUEST_ADDRESS} dev {_TAP}",
    ):
        cell.check(shlex.split(command))
    init = cell.path(f"{WORK}/guest-init")
    init.write_text(_guest_init())
    init.chmod(0o755)
    argv = [
        *("taskset", "--cpu-list", str(_own_processor(cell, say))),
        LAB_KERNEL,
        f"mem={_MEMORY}",
        "root=/dev/root",
        "rootfstype=hostfs",
        "rw",
        f"init={WORK}/guest-init",
        f"vec0:transport=tap,ifname={_TAP},depth=128,gro=0",
        f"uml_dir={WORK}",
        "con=null",
        "con0=null,fd:1",
        "quiet",
        "noreboot",
        "panic=1",
    ]
    # TMPDIR keeps the guest's memory file on the cell's tmpfs.
    env = {"PATH": os.environ.get("PATH", "/usr/bin"), "TMPDIR": WORK, "HOME": "/root"}
    with cell.path(CONSOLE).open("wb") as console:
        return cell.spawn(argv, env=env, cwd="/", stdout=console, stderr=subprocess.STDOUT, nice=_GUEST_NICE)


def _own_processor(cell: Cell, say: Callable[[str], None]) -> int:
    """A processor for the guest alone, which our own work leaves to it for as long as the cell is open.

    User-mode Linux is several host processes that take turns. Kept on one processor a system call of the guest costs
    20 us; let loose on two it costs 140 to 440 us (measured, see mininet/README.md). Never a processor that another lab
    holds, and never the last one.
    """
    processors = sorted(os.sched_getaffinity(0))
    for processor in reversed(processors[1:]):
        if (claim := _claim(processor)) is not None:
            cell.on_close(claim.close)
            _confine({*processors} - {processor})
            cell.on_close(lambda: _confine({*processors}))
            return processor
    say("lab: no processor to itself (another lab, or only one processor): expect more noise")
    return processors[0]


def _confine(processors: set[int]) -> None:
    """Keep this process, and the programs that it starts, on those processors."""
    for task in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # a thread that has ended
            os.sched_setaffinity(int(task.name), processors)


def _claim(processor: int) -> socket.socket | None:
    """A name that only one process of the host can hold, and that goes when it does; None when it is taken."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0carelane-lab-processor-{processor}")
    except OSError:
        claim.close()
        return None
    return claim


def _guest_init() -> str:
    """Process 1 of the guest. Every place its programs write to is a tmpfs, or the cell's work folder.

    Not /tmp: nothing writes there (TMPDIR is elsewhere), and the product itself may lie in it.
    """
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in _agent_env().items())
    return f"""#!/bin/sh
{exports}
mount -t proc proc /proc && mount -t sysfs sys /sys
mount -t tmpfs tmp /run && mkdir -p {WORK} /run/openvswitch /run/netns
mount -t hostfs -o {WORK} work {WORK}
for place in /var/log /etc/openvswitch; do mount -t tmpfs tmp $place; done
mkdir -p /var/log/openvswitch
mount -t devtmpfs dev /dev && mkdir -p /dev/pts && mount -t devpts -o ptmxmode=666 pts /dev/pts
mkdir -p /run/kernel/lib && ln -s /usr/lib/uml/modules /run/kernel/lib/modules
for module in {" ".join(_GUEST_MODULES)}; do modprobe -d /run/kernel $module; done
ip link set lo up
ip address add {GUEST_ADDRESS}/30 dev vec0 && ip link set vec0 up
{shlex.join(_agent_argv())}
echo o > /proc/sysrq-trigger
sleep 10
"""
