"""Fixtures that need a real server."""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, text

MEASURED = ("tests/emulation/", "tests/contract/test_page.py", "tests/contract/test_rest_load.py")
"""Tests of real packets, a real browser or a killed server: a machine that stops for seconds can fail them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ask such a test once more before it says no. Every second try is listed in the summary, with its reason."""
    for item in items:
        if item.nodeid.startswith(MEASURED):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """What a test sets up for the process's logs ends with it: the next one's stderr is another file."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def _postgres_tools() -> Path | None:
    found = shutil.which("initdb")
    candidates = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in candidates if (folder / "pg_ctl").exists()), None)


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root, so root starts it as somebody else."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A private server on a Unix socket in a folder of its own; yields that folder."""
    tools = _postgres_tools()
    if tools is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not installed")
    who = _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="carelane-pg-"))
    try:
        if who:
            os.chown(folder, who["user"], who["group"])
        data = folder / "data"

        def run(*command: str) -> None:
            log = folder / "commands.log"
            with log.open("ab") as output:
                # To a file: the server inherits it, and a pipe would stay open as long as the server lives.
                done = subprocess.run(
                    [str(tools / command[0]), *command[1:]],
                    cwd=folder,
                    stdout=output,
                    stderr=output,
                    timeout=120,
                    **who,
                )
            assert done.returncode == 0, log.read_text()

        run("initdb", "-D", str(data), "-U", "carelane", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=60"
        run("pg_ctl", "-D", str(data), "-l", str(folder / "log"), "-o", options, "-w", "start")
        try:
            yield str(folder)
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(postgres_server: str) -> Callable[[str], str]:
    """Makes an empty database of the given name and gives its URL."""

    def make(name: str) -> str:
        admin = create_engine(
            f"postgresql+psycopg://carelane@/postgres?host={postgres_server}", isolation_level="AUTOCOMMIT"
        )
        with admin.connect() as connection:
            connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        admin.dispose()
        return f"postgresql+psycopg://carelane@/{name}?host={postgres_server}"

    return make


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: the test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/carelane.db"
    make: Callable[[str], str] = request.getfixturevalue("postgres")
    return make("carelane_test")


settings.register_profile(
    "carelane", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
settings.load_profile("carelane")
"""How fast examples are found depends on the seed and the machine, and decides no test."""
