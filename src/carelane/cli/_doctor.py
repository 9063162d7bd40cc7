"""`carelane doctor`: whether this machine can do what it is meant for, and how to get what it lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Literal

from carelane.cli._exit import Exit
from carelane.cli._findings import Finding, Purpose, missing
from carelane.cli._output import Format, emit, emit_rows, emit_text
from carelane.errors import InputError
from carelane.settings import Settings, load_settings

__all__ = ["run_doctor"]

Asked = Literal["server", "switches", "lab", "tests", "all"]
PURPOSES: tuple[Purpose, ...] = ("server", "switches", "lab", "tests")
_INCLUDES: dict[Purpose, tuple[Purpose, ...]] = {
    "server": ("server",),
    "switches": ("server", "switches"),
    "lab": ("lab",),
    "tests": ("server", "lab", "tests"),
}


def run_doctor(url: str | None, purpose: Asked, *, output: Format) -> Exit:
    """Look, tell, and say by exit code whether the machine is fit for the purpose. Raises InputError."""
    findings = list(_examine(load_settings({}), url))
    wanted = {"server", "switches", "lab", "tests"} if purpose == "all" else set(_INCLUDES[purpose])
    lacking = [f for f in findings if f.status == "missing" and f.purpose in wanted]
    document = {
        "purpose": purpose,
        "fit": not lacking,
        "findings": [asdict(finding) for finding in findings],
    }
    emit(document, output, lambda: _print(findings, lacking, purpose))
    return Exit.BROKEN if lacking else Exit.DONE


def _examine(settings: Settings, url: str | None) -> Iterator[Finding]:
    from carelane.cli import _checks_lab, _checks_server

    checks: list[tuple[Purpose, str, Callable[[], Iterator[Finding]]]] = [
        ("server", "python", _checks_server.python),
        ("server", "packages", _checks_server.packages),
        ("server", "database", lambda: _checks_server.database(settings)),
        ("server", "certificates", lambda: _checks_server.certificates(settings)),
        ("server", "ports", lambda: _checks_server.ports(settings, url)),
        ("switches", "switches", lambda: _checks_server.switches(settings, url)),
        ("lab", "lab", _checks_lab.lab),
        ("tests", "tests", _checks_lab.tests),
    ]
    for purpose, name, check in checks:
        try:
            yield from check()
        except (InputError, OSError) as error:  # one check that cannot be done must not hide the others
            yield missing(purpose, name, f"could not be checked: {error}", "see the message")


def _print(findings: list[Finding], lacking: list[Finding], purpose: Asked) -> None:
    emit_rows(
        ("FOR", "CHECK", "STATUS", "FOUND"),
        ((finding.purpose, finding.check, finding.status, finding.found) for finding in findings),
    )
    remedies = [finding for finding in findings if finding.remedy]
    if remedies:
        emit_text("")
    for finding in remedies:
        emit_text(f"{finding.purpose}: {finding.check}: {finding.remedy}")
    what = "everything here" if purpose == "all" else purpose
    emit_text(f"\nfit for {what}" if not lacking else f"\nnot fit for {what}: {', '.join(f.check for f in lacking)}")
