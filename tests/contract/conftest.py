"""The command line as a process, a real server, and the contract's example files."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from carelane.cli import main

TOPOLOGY = """\
apiVersion: carelane/v1
kind: Topology
metadata: {name: example}
spec:
  nodes:
    - {id: county, kind: switch, availability: 0.99999}
    - {id: city, kind: switch, availability: 0.99999}
    - {id: province, kind: switch, availability: 0.99999}
  links:
    - {id: l1, a: county, b: city, capacity: 1Gbps, length: 200km, availability: 0.9997, riskGroups: [duct-7]}
    - {id: l2, a: city, b: province, capacity: 1Gbps, length: 300km, availability: 0.9997}
    - {id: l3, a: county, b: province, capacity: 1Gbps, length: 700km, availability: 0.9997}
  endpoints:
    - {id: county/or-1, node: county, address: 10.1.0.11/32, capacity: 1Gbps}
    - {id: province/console-3, node: province, address: 10.1.0.13/32, capacity: 1Gbps}
"""
INTENT = """\
apiVersion: carelane/v1
kind: ServiceIntent
metadata: {name: or1-surgery, tenant: county-hospital}
spec:
  service: remote-surgery
  from: [county/or-1]
  to: [province/console-3]
  objectives: {delay: 20ms, availability: 99.99%, bandwidth: 40Mbps, jitter: 5ms, loss: none}
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


Cli = Callable[..., Ran]
KEYS: dict[str, str] = {}
"""The admin key of each server that was started, by its URL."""


def _key_for(arguments: tuple[str, ...]) -> dict[str, str]:
    """The key of the server that a command is told to talk to."""
    key = next((KEYS[word] for word in arguments if word in KEYS), None)
    return {} if key is None else {"CARELANE_API_KEY": key}


@pytest.fixture(scope="session")
def cli() -> Cli:
    """Runs `carelane` in a process of its own, as a user would."""

    def run(
        *arguments: str, stdin: str | bytes = b"", env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> Ran:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CARELANE_")}
        done = subprocess.run(
            [sys.executable, "-m", "carelane", *arguments],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            timeout=120,
            env=environment | _key_for(arguments) | (env or {}),
            cwd=cwd,
            check=False,
        )
        ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in ran.err, ran.err
        return ran

    return run


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs `carelane` in this process: the same entry point, without the second that a process costs."""
    for name in [name for name in os.environ if name.startswith("CARELANE_")]:
        monkeypatch.delenv(name)

    def run(*arguments: str) -> Ran:
        for name, value in _key_for(arguments).items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(arguments)
        written = capsys.readouterr()
        return Ran(int(end.value.code or 0), written.out, written.err)

    return run


@pytest.fixture
def topology_file(tmp_path: Path) -> Path:
    """The contract's example topology, with a second way round."""
    path = tmp_path / "topology.yaml"
    path.write_text(TOPOLOGY, encoding="utf-8")
    return path


@pytest.fixture
def intent_file(tmp_path: Path) -> Path:
    """The contract's example intent."""
    path = tmp_path / "intents.yaml"
    path.write_text(INTENT, encoding="utf-8")
    return path


@pytest.fixture
def intent_text() -> str:
    return INTENT


@pytest.fixture
def topology_text() -> str:
    """Its endpoints come last, so that more can be added at the end."""
    return TOPOLOGY


@dataclass
class Server:
    """A `carelane up --simulate` process."""

    url: str
    ready: str
    process: subprocess.Popen[str]
    folder: Path

    @property
    def key(self) -> str:
        """Its first admin key."""
        return (self.folder / ".carelane" / "admin.key").read_text(encoding="utf-8").strip()

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end and return how it did."""
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


StartServer = Callable[..., Server]


@pytest.fixture(scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Starts servers on free ports; all are gone afterwards."""
    processes: list[subprocess.Popen[str]] = []

    def start(
        *options: str, topology: str = TOPOLOGY, folder: Path | None = None, env: dict[str, str] | None = None
    ) -> Server:
        home = folder or tmp_path_factory.mktemp("server")
        (home / "topology.yaml").write_text(topology, encoding="utf-8")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CARELANE_")}
        with (home / "log").open("ab") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "carelane",
                    "up",
                    "-t",
                    "topology.yaml",
                    "--simulate",
                    "--rest-port",
                    "0",
                    *options,
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=home,
                env=environment | (env or {}),
            )
        processes.append(process)
        server = Server(*_ready(process, home / "log"), process, home)
        KEYS[server.url] = server.key
        return server

    yield start
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _ready(process: subprocess.Popen[str], log: Path) -> tuple[str, str]:
    """The URL, and the line that says that it is ready."""
    assert process.stdout is not None
    watchdog = threading.Timer(180, process.kill)
    watchdog.start()
    try:
        for line in process.stdout:
            found = re.search(r"REST (https?://\S+?),", line)
            if line.startswith("carelane ready") and found:
                return found.group(1), line
    finally:
        watchdog.cancel()
    raise AssertionError(f"the server did not become ready:\n{log.read_text()}")


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> Server:
    """One server for the tests of a module."""
    return start_server()
