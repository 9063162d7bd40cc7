"""The real product inside the lab: `carelane up` as a process of its own, spoken to by the real command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import yaml

from carelane.lab.cell import WORK, CellProcess
from carelane.lab.failures import LabError
from carelane.lab.lab import Lab
from carelane.topology import Topology
from carelane.topology.dump import to_manifest

__all__ = ["CarelaneServer"]

_READY_TIMEOUT_S = 60.0
_REST = "http://127.0.0.1:8642"
_NICE = -15
"""A controller has a machine of its own; here it shares processors with whatever else runs on this one."""


class CarelaneServer:
    """One controller with its own database file; start, kill and start again as often as a scenario wants.

    `name` keeps several of one lab apart, `settings` are CARELANE_ variables.
    All its files live in the cell, which takes them along when it ends.
    """

    def __init__(
        self, lab: Lab, topology: Topology, *, name: str = "product", settings: Mapping[str, str] | None = None
    ) -> None:
        self.lab = lab
        self.process: CellProcess | None = None
        self._folder = f"{WORK}/{name}"
        self._key = f"{self._folder}/admin.key"
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("CARELANE_")},
            "CARELANE_URL": _REST,
            "CARELANE_KEY_FILE": self._key,
            "PYTHONUNBUFFERED": "1",
            **(settings or {}),
        }
        lab.cell.path(self._folder).mkdir()
        self._topology = self.put(
            "topology.yaml", yaml.safe_dump(to_manifest(topology), allow_unicode=True, sort_keys=False)
        )

    def put(self, name: str, text: str) -> str:
        """Write a file where the product can read it; gives its path there."""
        self.lab.cell.path(f"{self._folder}/{name}").write_text(text, encoding="utf-8")
        return f"{self._folder}/{name}"

    @property
    def log(self) -> Path:
        """What the controller wrote, appended over restarts, as seen from outside the cell."""
        return self.lab.cell.path(f"{self._folder}/controller.log")

    def start(self, *, switches: int) -> float:
        """Start the controller and wait until it is ready with that many switches; gives the seconds it took."""
        host, port = self.lab.openflow_listen
        argv = [sys.executable, "-m", "carelane", "up", "--topology", self._topology]
        argv += ["--database", f"sqlite:///{self._folder}/carelane.db"]
        argv += ["--openflow-host", host, "--openflow-port", str(port), "--ovsdb", self.lab.ovsdb_target]
        begun = time.monotonic()
        with self.log.open("ab") as log:
            self.process = self.lab.spawn(
                argv, env=self._environment, cwd="/", stdout=log, stderr=subprocess.STDOUT, nice=_NICE
            )
        while True:
            if self.process.poll() is not None:
                raise LabError(f"carelane up ended: {self._last_words()}")
            if self._connected() >= switches:
                return time.monotonic() - begun
            if time.monotonic() - begun > _READY_TIMEOUT_S:
                raise LabError(f"{self._connected()} of {switches} switches connected: {self._last_words()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """SIGTERM, as systemd would."""
        if self.process is not None:
            self.process.stop(15.0)
            self.process = None

    def kill(self) -> None:
        """SIGKILL: no clean-up of any kind."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10.0)
            self.process = None

    def cli(self, *arguments: str, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run the command line beside the controller, exactly as a person would; the exit status is the caller's."""
        argv = [sys.executable, "-m", "carelane", *arguments]
        process = self.lab.spawn(argv, env=self._environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = process.communicate(timeout_s)
        except subprocess.TimeoutExpired:
            process.stop()
            raise LabError(f"carelane {' '.join(arguments)} did not end within {timeout_s:g} s") from None
        return subprocess.CompletedProcess(argv, process.wait(), out.decode(), err.decode())

    def check_cli(self, *arguments: str, allowed: Sequence[int] = (0,)) -> str:
        """`cli`, raising LabError with its words when the exit status is not one of `allowed`."""
        done = self.cli(*arguments)
        if done.returncode not in allowed:
            raise LabError(
                f"carelane {' '.join(arguments)} exited {done.returncode}: {done.stderr.strip()} {done.stdout.strip()}"
            )
        return done.stdout

    def get(self, path: str) -> Any:
        """A GET of the REST face from inside the cell, with the first admin key. Raises OSError."""

        headers = self._authorization()

        def fetch() -> Any:
            request = Request(f"{_REST}{path}", headers=headers)  # noqa: S310 - a constant local address
            with urlopen(request, timeout=10.0) as answer:  # noqa: S310
                return json.load(answer)

        return self.lab.inside(fetch)

    def text(self, path: str) -> str:
        """A GET of something that is not JSON. Raises OSError."""
        headers = self._authorization()

        def fetch() -> str:
            request = Request(f"{_REST}{path}", headers=headers)  # noqa: S310 - a constant local address
            with urlopen(request, timeout=10.0) as answer:  # noqa: S310
                return str(answer.read().decode())

        return self.lab.inside(fetch)

    def withdraw(self, names: Sequence[str]) -> None:
        """Delete these intents and wait until nothing of them is left. Raises LabError when that takes a minute."""

        headers = self._authorization()

        def ask() -> None:
            for name in names:
                url = f"{_REST}/v1/intents/{name}"
                request = Request(url, headers=headers, method="DELETE")  # noqa: S310 - as above
                with urlopen(request, timeout=10.0):  # noqa: S310
                    pass

        self.lab.inside(ask)
        end = time.monotonic() + _READY_TIMEOUT_S
        while any(row["name"] in names for row in self.get("/v1/intents")["intents"]):
            if time.monotonic() > end:
                raise LabError(f"{', '.join(names)}: not withdrawn; {self._last_words()}")
            time.sleep(0.2)

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.lab.cell.path(self._key).read_text(encoding='utf-8').strip()}"}

    def _connected(self) -> int:
        try:
            switches = self.get("/v1/topology/check")
        except (URLError, OSError, ValueError):
            return 0
        return sum(1 for switch in switches["switches"] if switch["connected"])

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-1500:]
