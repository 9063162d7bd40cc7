"""Process 1 of a cell: makes the mounts, raises the loopback, says so, and waits for its supervisor to go away.

Run by path inside the namespaces that `carelane.lab.cell` unshares; needs nothing but the standard library. When the
supervisor dies, however it dies, the kernel closes its end of our standard input; we exit, and because we are process
1 the kernel kills every process of the cell and drops its namespaces, devices and mounts.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

# Nothing the lab writes may reach the host's files, so every place it writes to is a tmpfs of the cell.
_TMPFS = ("/run", "/var/log", "/etc/openvswitch")
_WORK = ("/run/lab", "/run/openvswitch", "/run/netns", "/var/log/openvswitch")


def main() -> int:
    # /proc is still the outer one here, so this is our process id as the supervisor sees it.
    outer_pid = str(Path("/proc/self").readlink())
    # Orphans of the cell are ours; ignoring SIGCHLD lets the kernel reap them. After the commands below, which wait.
    _run("mount", "-t", "proc", "proc", "/proc")
    for place in _TMPFS:
        if Path(place).is_dir():
            _run("mount", "-t", "tmpfs", "-o", "mode=755", "carelane-lab", place)
    for place in _WORK:
        Path(place).mkdir(parents=True, exist_ok=True)
    _run("ip", "link", "set", "lo", "up")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    sys.stdout.write(f"ready {outer_pid}\n")
    sys.stdout.flush()
    while os.read(0, 4096):
        pass
    return 0


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.stdout.write(f"failed {' '.join(argv)}: {done.stderr.strip()}\n")
        sys.stdout.flush()
        raise SystemExit(1)


if __name__ == "__main__":
    raise SystemExit(main())
