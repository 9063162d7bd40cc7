"""Checks of what the lab and the tests need: Open vSwitch, a kernel that forwards, root, programs."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from carelane.cli._findings import Finding, Purpose, missing, note, ok
from carelane.lab.substrate import HOST_MODULES, LAB_KERNEL

__all__ = ["lab", "tests"]

_LAB_PROGRAMS = {
    "ovs-vswitchd": "openvswitch-switch",
    "ovsdb-server": "openvswitch-switch",
    "mnexec": "mininet",
    "ip": "iproute2",
    "tc": "iproute2",
    "ethtool": "ethtool",
    "unshare": "util-linux",
}
_TEST_PROGRAMS = {"chromium": "chromium", "prometheus": "prometheus", "git": "git"}


def lab() -> Iterator[Finding]:
    if os.geteuid() == 0:
        yield ok("lab", "permissions", "root: may make network namespaces")
    else:
        yield missing("lab", "permissions", f"user {os.getuid()}", "run the lab as root")
    yield _programs("lab", _LAB_PROGRAMS)
    yield _kernel()
    try:
        found = version("matplotlib")  # to import it would make a cache, and complain where it cannot
    except PackageNotFoundError:
        yield missing("lab", "plots", "matplotlib is not installed", "python -m pip install 'carelane[lab]'")
    else:
        yield ok("lab", "plots", f"matplotlib {found}")


def _programs(purpose: Purpose, wanted: dict[str, str]) -> Finding:
    absent = [program for program in wanted if _which(program) is None]
    if not absent:
        return ok(purpose, "programs", ", ".join(wanted))
    names = " ".join(sorted({wanted[program] for program in absent}))
    remedy = f"apt-get install --no-install-recommends {names}"
    return missing(purpose, "programs", f"not found: {', '.join(absent)}", remedy)


def _which(program: str) -> str | None:
    """Also where only root looks by itself: a program that is there must not be asked for."""
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")))


def _kernel() -> Finding:
    """The host's own modules, else Debian's user-mode kernel, else switching without a kernel."""
    lacking = [module for module in HOST_MODULES if not _has(module)]
    if not lacking:
        return ok("lab", "kernel", f"{platform.release()} has {', '.join(HOST_MODULES)}")
    said = f"{platform.release()} lacks {', '.join(lacking)}"
    if platform.machine() == "x86_64" and shutil.which(LAB_KERNEL) and Path("/dev/net/tun").exists():
        return ok("lab", "kernel", f"{said}; the lab kernel {LAB_KERNEL} stands in")
    return note(
        "lab",
        "kernel",
        f"{said}, and there is no lab kernel: only the userspace datapath, on which delay cannot be measured",
        "apt-get install user-mode-linux (x86_64; needs /dev/net/tun)",
    )


def _has(module: str) -> bool:
    if Path(f"/sys/module/{module}").exists():
        return True
    if shutil.which("modprobe") is None:
        return False
    done = subprocess.run(["modprobe", "--dry-run", "--quiet", module], capture_output=True, check=False)
    return done.returncode == 0


def tests() -> Iterator[Finding]:
    yield _programs("tests", _TEST_PROGRAMS)
    servers = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if servers or shutil.which("initdb"):
        yield ok("tests", "PostgreSQL", str(servers[-1].parent) if servers else "initdb is on the path")
    else:
        yield missing("tests", "PostgreSQL", "initdb not found", "apt-get install --no-install-recommends postgresql")
