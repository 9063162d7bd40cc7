"""Running programs inside, in batches: a process costs some 20 ms in the lab kernel, a line of a batch far less."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from carelane.lab._netns import run_in_netns
from carelane.lab.failures import LabError

__all__ = ["ip_batch", "run", "tc_batch", "vsctl"]

_MAX_ARGUMENTS = 2000  # of one ovs-vsctl call, well under the kernel's limit of 2 MB


def run(
    argv: Sequence[str],
    *,
    text: str | None = None,
    netns: int | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 60.0,
) -> str:
    """Run a program to its end, optionally inside a network namespace (a descriptor); gives its standard output.

    `environment` is added to this process's own.

    Raises `LabError` with the program's own words when it fails.
    """

    def work() -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **(environment or {})}
        return subprocess.run(argv, input=text, capture_output=True, text=True, timeout=timeout_s, check=False, env=env)

    try:
        done = work() if netns is None else run_in_netns(netns, work)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{' '.join(argv)}: {error}") from error
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        raise LabError(f"{' '.join(argv)[:200]}: {said[:2000]}")
    return done.stdout


def ip_batch(lines: Sequence[str], *, netns: int | None = None) -> None:
    """Many ``ip`` commands in one process."""
    if lines:
        run(["ip", "-batch", "-"], text="\n".join(lines) + "\n", netns=netns)


def tc_batch(lines: Sequence[str], *, netns: int | None = None) -> None:
    """Many ``tc`` commands in one process."""
    if lines:
        run(["tc", "-batch", "-"], text="\n".join(lines) + "\n", netns=netns)


def vsctl(commands: Sequence[Sequence[str]], *, environment: Mapping[str, str] | None = None) -> None:
    """Many ovs-vsctl commands in as few transactions as their length allows."""
    argv: list[str] = ["ovs-vsctl", "--timeout=50"]
    for command in commands:
        if len(argv) + len(command) > _MAX_ARGUMENTS:
            run(argv, environment=environment)
            argv = argv[:2]
        argv += ["--", *command]
    if len(argv) > 2:
        run(argv, environment=environment)
