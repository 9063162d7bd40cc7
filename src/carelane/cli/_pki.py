"""`carelane pki`: certificates for labs and first deployments."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

from carelane import pki
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit, emit_rows, emit_text
from carelane.tls import SOON_DAYS, Certificate, read_certificates

__all__ = ["run_pki_init", "run_pki_issue", "run_pki_show"]

_ANY_SWITCH = "switch"


def run_pki_init(folder: Path, hosts: Sequence[str], switches: Sequence[str], *, days: int, force: bool) -> Exit:
    """Make everything, or nothing; then say what goes where. Raises InputError, ConflictError."""
    names = switches or (_ANY_SWITCH,)
    pki.init(folder, _with_own(hosts), names, days=days, force=force)
    _print(_certificates(folder))
    emit_text(f"""
On each switch, with files of its own name copied there (the keys of others stay here):
  ovs-vsctl set-ssl {names[0]}.key {names[0]}.crt {pki.AUTHORITY}.crt
  ovs-vsctl set-controller BRIDGE ssl:CONTROLLER:6653
On the controller:
  carelane up ... --tls-key {folder}/controller.key --tls-cert {folder}/controller.crt --tls-ca {folder}/ca.crt
Keep {folder}/{pki.AUTHORITY}.key away from both: whoever has it can pass for any switch.""")
    return Exit.DONE


def run_pki_issue(folder: Path, name: str, hosts: Sequence[str], *, days: int, force: bool) -> Exit:
    """Raises InputError, ConflictError."""
    own = _with_own(hosts) if name == pki.CONTROLLER else hosts
    _key, certificate = pki.issue(folder, name, own, days=days, force=force)
    _print(list(read_certificates(certificate)))
    return Exit.DONE


def run_pki_show(folder: Path, *, output: Format) -> Exit:
    """Raises InputError."""
    certificates = _certificates(folder)
    document = {
        "certificates": [
            {
                "file": str(found.file),
                "subject": found.subject,
                "not_after": found.not_after.isoformat(),
                "days_left": round(found.days_left(), 1),
            }
            for found in certificates
        ]
    }
    emit(document, output, lambda: _print(certificates))
    return Exit.BROKEN if any(found.days_left() < 0 for found in certificates) else Exit.DONE


def _certificates(folder: Path) -> list[Certificate]:
    return [certificate for file in pki.found(folder) for certificate in read_certificates(file)]


def _with_own(hosts: Sequence[str]) -> list[str]:
    """A controller is also called from its own machine."""
    return list(dict.fromkeys([*hosts, socket.gethostname(), "localhost", "127.0.0.1", "::1"]))


def _print(certificates: Sequence[Certificate]) -> None:
    emit_rows(
        ("FILE", "FOR", "EXPIRES", "STATE"),
        ((str(item.file), item.subject, f"{item.not_after:%Y-%m-%d}", _state(item)) for item in certificates),
    )


def _state(certificate: Certificate) -> str:
    days = certificate.days_left()
    if not certificate.has_begun():
        return f"not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC: compare clocks"
    if days < 0:
        return "expired: renew it"
    return f"{days:.0f} days left" + (": renew it soon" if days < SOON_DAYS else "")
