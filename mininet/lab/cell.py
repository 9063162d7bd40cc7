"""A sandbox of kernel namespaces in which a lab lives, and with which it vanishes.

A cell has its own process, mount, network, IPC and host-name namespaces. It is held by one pipe: when the process
that opened it ends, even by SIGKILL, the pipe closes, process 1 of the cell exits, and the kernel ends everything in
it: processes, interfaces, mounts, a booted guest kernel. The cell writes only to a tmpfs of its own, so there is
nothing to clean up on the host's disks, now or at the next start.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, TypeVar

from carelane.lab._netns import run_in_netns
from carelane.lab.failures import LabError

__all__ = ["WORK", "Cell", "CellProcess"]

# Inside the cell; see Cell.path for the same place seen from outside.
WORK = "/run/lab"
_READY_TIMEOUT_S = 20.0

T = TypeVar("T")


class CellProcess:
    """A process running inside a cell, started from outside through nsenter.

    Signals go to the process itself, not to nsenter: `kill()` is a real SIGKILL of it, as a crash test needs.
    """

    def __init__(self, popen: subprocess.Popen[bytes], argv: Sequence[str]) -> None:
        self.argv = tuple(argv)
        self._popen = popen

    @property
    def stdin(self) -> IO[bytes] | None:
        return self._popen.stdin

    @property
    def stdout(self) -> IO[bytes] | None:
        return self._popen.stdout

    @property
    def stderr(self) -> IO[bytes] | None:
        return self._popen.stderr

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._popen.poll()

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for the end. Raises subprocess.TimeoutExpired."""
        return self._popen.wait(timeout_s)

    def communicate(self, timeout_s: float | None = None) -> tuple[bytes, bytes]:
        """Read both streams to the end and wait."""
        return self._popen.communicate(timeout=timeout_s)

    def send_signal(self, number: int) -> None:
        """Send a signal to the process inside, if it still runs."""
        if self.poll() is not None:
            return
        inner = _child_of(self._popen.pid)
        # Before nsenter has forked there is nothing inside yet, so ending nsenter itself is enough.
        os.kill(self._popen.pid if inner is None else inner, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def stop(self, patience_s: float = 5.0) -> int:
        """Terminate, then kill after `patience_s`; gives the exit status and closes the streams."""
        self.terminate()
        try:
            status = self.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
            status = self.wait(patience_s)
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        return status


class Cell:
    """An open cell; use as a context manager. Needs root."""

    def __init__(self, popen: subprocess.Popen[bytes], pid: int) -> None:
        self._popen = popen
        self.pid = pid
        self._netns = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._after = ExitStack()

    @classmethod
    def open(cls) -> Cell:
        """Make the namespaces and wait until they are ready. Raises `LabError` with the remedy."""
        if os.geteuid() != 0:
            raise LabError("the lab needs root for its network namespaces; run it with sudo")
        for tool in ("unshare", "nsenter", "mount", "ip"):
            if shutil.which(tool) is None:
                raise LabError(f"{tool} is not installed; apt-get install util-linux iproute2")
        init = Path(__file__).with_name("_cell_init.py")
        namespaces = ("--fork", "--pid", "--kill-child", "--mount", "--net", "--ipc", "--uts")
        popen = subprocess.Popen(
            ["unshare", *namespaces, sys.executable, "-B", "-I", "-S", str(init)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A Ctrl-C must reach the supervisor only, which then closes the cell in order.
            start_new_session=True,
        )
        assert popen.stdout is not None
        lines: list[str] = []
        for raw in popen.stdout:
            lines.append(raw.decode(errors="replace").strip())
            if lines[-1].startswith("ready "):
                return cls(popen, int(lines[-1].split()[1]))
        popen.wait(_READY_TIMEOUT_S)
        _close_streams(popen)
        raise LabError(f"the kernel refused the lab's namespaces: {'; '.join(lines) or 'no reason given'}")

    def __enter__(self) -> Cell:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything in the cell. Safe to call twice."""
        if self._netns >= 0:
            os.close(self._netns)
            self._netns = -1
        if self._popen.stdin is not None and not self._popen.stdin.closed:
            self._popen.stdin.close()
        try:
            self._popen.wait(_READY_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        _close_streams(self._popen)
        self._after.close()

    def on_close(self, work: Callable[[], object]) -> None:
        """Do this when everything in the cell has ended; the last one asked for first."""
        self._after.callback(work)

    def path(self, inside: str) -> Path:
        """Where the host sees a file of the cell."""
        return Path(f"/proc/{self.pid}/root") / inside.lstrip("/")

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        stdin: int | IO[bytes] | None = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
        nice: int = 0,
    ) -> CellProcess:
        """Start a program inside; it dies with the cell at the latest. `env` replaces the environment.

        `nice` below 0 goes before the host's other work, as far as that is permitted.
        """
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--net", "--ipc", "--uts", "--pid"]
        if cwd is not None:
            enter.append(f"--wd={cwd}")
        before = ["nice", f"--adjustment={nice}"] if nice else []
        popen = subprocess.Popen(
            [*enter, "--", *before, *argv],
            env=None if env is None else dict(env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        if nice:
            # A session is one task group where the kernel groups so (sched(7)): inside it `nice` counts among its own.
            with suppress(FileNotFoundError, PermissionError):
                Path(f"/proc/{popen.pid}/autogroup").write_text(str(nice))
        return CellProcess(popen, argv)

    def run(self, argv: Sequence[str], *, timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end and give its status and output; a failure is the caller's to judge."""
        process = self.spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = process.communicate(timeout_s)
        except subprocess.TimeoutExpired:
            process.stop()
            raise LabError(f"{' '.join(argv)} did not end within {timeout_s:g} s") from None
        status = process.wait()
        return subprocess.CompletedProcess(
            list(argv), status, out.decode(errors="replace"), err.decode(errors="replace")
        )

    def check(self, argv: Sequence[str], *, timeout_s: float = 30.0) -> str:
        """`run`, raising `LabError` with the program's own words when it fails; gives its standard output."""
        done = self.run(argv, timeout_s=timeout_s)
        if done.returncode != 0:
            raise LabError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
        return done.stdout

    def call(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread inside the cell's network; files and modules stay those of the host."""
        return run_in_netns(self._netns, work)

    def connect(self, host: str, port: int, timeout_s: float = 5.0) -> socket.socket:
        """A TCP connection made from inside the cell. Raises OSError."""
        return self.call(lambda: socket.create_connection((host, port), timeout_s))


def _close_streams(popen: subprocess.Popen[bytes]) -> None:
    for stream in (popen.stdin, popen.stdout):
        if stream is not None:
            stream.close()


def _child_of(parent: int) -> int | None:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:  # it ended while we looked
            continue
        if int(fields[1]) == parent:
            return int(entry.name)
    return None
