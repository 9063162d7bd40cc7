"""Checks of what a server needs: Python, packages, database, ports, and the switches of a server that runs."""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path

from carelane.api.hosts import is_loopback
from carelane.cli._client import Client
from carelane.cli._findings import Finding, missing, note, ok
from carelane.errors import CarelaneError, InputError, ServerUnavailable, TransientError
from carelane.settings import Settings

__all__ = ["certificates", "database", "packages", "ports", "python", "switches"]

OLDEST_PYTHON = (3, 11)
_AT_ONCE = 16  # OVSDB servers that are tried
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_INSTALL = "scripts/setup.sh, or: python -m pip install --require-hashes -r requirements.lock"


def python() -> Iterator[Finding]:
    found = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    if sys.version_info >= OLDEST_PYTHON:
        yield ok("server", "python", found)
    else:
        yield missing("server", "python", found, "install Python 3.11 or newer (Debian 12: apt-get install python3)")


def packages() -> Iterator[Finding]:
    """The distribution's own list of what it depends on, extras left out."""
    try:
        wanted = [name for name in requires("carelane") or () if "extra ==" not in name]
    except PackageNotFoundError:
        yield missing("server", "packages", "carelane itself is not installed", "python -m pip install -e .")
        return
    absent = []
    for requirement in wanted:
        match = _NAME.match(requirement)
        try:
            distribution(match.group() if match else requirement)
        except PackageNotFoundError:
            absent.append(requirement)
    if absent:
        yield missing("server", "packages", f"not installed: {', '.join(absent)}", _INSTALL)
    else:
        yield ok("server", "packages", f"all {len(wanted)} installed")


def database(settings: Settings) -> Iterator[Finding]:
    """Looks without making or migrating anything."""
    from carelane.store.backup import revision

    try:
        held = revision(settings.database)
    except InputError as error:
        yield missing("server", "database", str(error.message), "set CARELANE_DATABASE to a database URL")
        return
    except CarelaneError as error:
        yield missing("server", "database", str(error), "start the database, or correct CARELANE_DATABASE")
        return
    except OSError as error:
        found = f"{error.filename}: {error.strerror or error}"
        remedy = f"let the user {os.getuid()} read and write there, or set CARELANE_DATABASE to another place"
        yield missing("server", "database", found, remedy)
        return
    if held is not None:
        yield ok("server", "database", f"answers; its tables are of revision {held}")
    else:
        yield from _new_database(settings.database)


def _new_database(url: str) -> Iterator[Finding]:
    prefix, _, path = url.partition(":///")
    if not prefix.startswith("sqlite"):
        yield ok("server", "database", "answers; empty: `carelane up` will make the tables")
        return
    folder = next(parent for parent in Path(path).absolute().parents if parent.exists())
    if os.access(folder, os.W_OK):
        yield ok("server", "database", f"none yet; `carelane up` will make {path}")
    else:
        yield missing("server", "database", f"{folder} is not writable", f"chown it to the user {os.getuid()}")


def certificates(settings: Settings) -> Iterator[Finding]:
    """Whether TLS can be had with the files of the settings, and for how long."""
    from carelane.tls import SOON_DAYS, TlsFiles, read_certificates

    try:
        files = TlsFiles.of(settings.tls_key, settings.tls_cert, settings.tls_ca)
    except InputError as error:
        yield missing("server", "certificates", str(error.message), error.remedy or "correct CARELANE_TLS_*")
        return
    if files is None:
        if not is_loopback(settings.openflow_host):
            text = f"none: switches on {settings.openflow_host} are trusted as they come"
            yield note("server", "certificates", text, "`carelane pki init DIR`, then CARELANE_TLS_KEY, _CERT and _CA")
        return
    if files.key.stat().st_mode & 0o077:
        yield note("server", "key file", f"others may read {files.key}", f"chmod 600 {files.key}")
    for found in (*read_certificates(files.cert), *read_certificates(files.ca)):
        days = found.days_left()
        text = f"{found.file}: {found.subject} until {found.not_after:%Y-%m-%d}"
        if not found.has_begun():
            text = f"{found.file}: {found.subject} is valid from {found.not_before:%Y-%m-%d %H:%M} UTC on, not yet"
            yield missing("server", "certificates", text, "correct this machine's clock, or that of whoever made it")
        elif days < 0:
            yield missing("server", "certificates", f"{text}, which is past", "renew it: docs/how-to/tls.md")
        elif days < SOON_DAYS:
            yield note("server", "certificates", f"{text}, in {days:.0f} days", "renew it: docs/how-to/tls.md")
        else:
            yield ok("server", "certificates", text)


def ports(settings: Settings, url: str | None) -> Iterator[Finding]:
    rest = f"{settings.rest_host} port {settings.rest_port}"
    obstacle = _obstacle(settings.rest_host, settings.rest_port)
    if not obstacle:
        yield ok("server", "REST port", f"{rest} is free")
    elif _answers(url):
        yield ok("server", "REST port", f"{rest}: a carelane server answers")
    else:
        yield missing(
            "server", "REST port", f"{rest}: {obstacle}", "stop what listens there, or set CARELANE_REST_PORT"
        )
    openflow = f"{settings.openflow_host} port {settings.openflow_port}"
    obstacle = _obstacle(settings.openflow_host, settings.openflow_port)
    if not obstacle:
        yield ok("switches", "OpenFlow port", f"{openflow} is free")
    elif _answers(url):
        yield ok("switches", "OpenFlow port", f"{openflow} is in use, and a carelane server runs")
    else:
        remedy = "stop what listens there, or set CARELANE_OPENFLOW_PORT"
        yield missing("switches", "OpenFlow port", f"{openflow}: {obstacle}", remedy)


def _obstacle(host: str, port: int) -> str:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, port), family=family):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _answers(url: str | None) -> bool:
    try:
        Client.at(url).get("healthz")
    except ServerUnavailable:
        return False
    except CarelaneError:
        return True  # it answered, though not well
    return True


def switches(settings: Settings, url: str | None) -> Iterator[Finding]:
    """The OVSDB remotes of the settings, and what a running server says of its switches."""
    if settings.ovsdb is None:
        yield note("switches", "OVSDB", "CARELANE_OVSDB is not set", "set it, or give --ovsdb tcp:HOST:6640")
    else:
        yield from _ovsdb_servers(settings.ovsdb)
    try:
        seen, place = Client.at(url).get("v1", "topology", "check")["switches"], Client.at(url).get("readyz")
    except ServerUnavailable:
        yield note("switches", "switches", "no server runs here", "start one with `carelane up`")
        return
    except TransientError as error:
        yield missing("switches", "switches", f"the server cannot do its work: {error}", "see /readyz and its log")
        return
    except CarelaneError as error:
        yield note("switches", "switches", f"the server does not say: {error}", "give an API key that may see them")
        return
    if place.get("role", "single") != "single":
        yield _leader(place["role"], place["epoch"], place["leader"])
    away = [switch["node"] for switch in seen if not switch["connected"]]
    if away:
        remedy = "on the bridge: ovs-vsctl show; set its controller to this server's OpenFlow address"
        yield missing("switches", "switches", f"{len(away)} of {len(seen)} away: {', '.join(away[:10])}", remedy)
    else:
        yield ok("switches", "switches", f"all {len(seen)} connected")


def _leader(role: str, epoch: int | None, leader: str | None) -> Finding:
    if leader is None:
        remedy = "see each controller's log (`lease not renewed` says why), and its database"
        return missing(
            "switches", "controller", f"{role}, epoch {epoch}; no controller leads, nothing is acted on", remedy
        )
    return ok("switches", "controller", f"{role}, epoch {epoch}; {leader} leads")


def _ovsdb_servers(text: str) -> Iterator[Finding]:
    from carelane.controller.southbound.ovsdb_remotes import read_remotes

    try:
        default, named = read_remotes(text)
    except InputError as error:
        yield missing("switches", "OVSDB", str(error.message), f"CARELANE_OVSDB: {error.expected}")
        return
    remotes = sorted({*named.values(), *filter(None, [default])})
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(_ovsdb, remotes)


def _ovsdb(remote: str) -> Finding:
    kind, _, rest = remote.partition(":")
    try:
        if kind == "unix":
            with socket.socket(socket.AF_UNIX) as unix:
                unix.settimeout(3)
                unix.connect(rest)
        else:
            host, _, port = rest.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), timeout=3).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return missing("switches", "OVSDB", f"{remote}: {reason}", "on the switch: ovs-vsctl set-manager ptcp:6640")
    return ok("switches", "OVSDB", f"{remote} accepts connections")
