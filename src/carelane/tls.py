"""Certificates of a running carelane: which files, what they say, and contexts for servers made of them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from carelane.errors import InputError

__all__ = ["SOON_DAYS", "Certificate", "TlsFiles", "read_certificates"]

SOON_DAYS = 30
"""How many days before its end a certificate is worth a warning."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What matters of a certificate in a file."""

    file: Path
    subject: str
    not_before: datetime
    not_after: datetime

    def has_begun(self, now: datetime | None = None) -> bool:
        """Whether it is valid yet: one made by a machine whose clock is ahead is refused by all others."""
        return self.not_before <= (now or datetime.now(UTC))

    def days_left(self, now: datetime | None = None) -> float:
        return (self.not_after - (now or datetime.now(UTC))).total_seconds() / 86400


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: our key and certificate (with intermediate ones after it), and the authorities of our peers."""

    key: Path
    cert: Path
    ca: Path

    @classmethod
    def of(cls, key: str | None, cert: str | None, ca: str | None) -> TlsFiles | None:
        """None when none is given. Raises InputError when only some are, or when they cannot be used."""
        given = {"tls-key": key, "tls-cert": cert, "tls-ca": ca}
        absent = [name for name, value in given.items() if not value]
        if len(absent) == len(given):
            return None
        if not key or not cert or not ca:
            raise InputError(
                "TLS needs a key, a certificate and the authorities of the peers",
                field=f"--{absent[0]}",
                remedy="give all of --tls-key, --tls-cert and --tls-ca, or none; `carelane pki init` makes them",
            )
        files = cls(Path(key), Path(cert), Path(ca))
        files.server_context(mutual=True)
        return files

    def server_context(self, *, mutual: bool) -> ssl.SSLContext:
        """TLS 1.2 or newer; with `mutual`, peers must show a certificate of our authorities. Raises InputError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        file, field = self.cert, "--tls-cert"
        try:
            self.cert.open("rb").close()
            file, field = self.key, "--tls-key"
            self.key.open("rb").close()
            context.load_cert_chain(self.cert, self.key, password=_no_password)
            if mutual:
                file, field = self.ca, "--tls-ca"
                context.load_verify_locations(self.ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, InputError) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
            raise InputError(
                f"{file} cannot be used: {reason}",
                field=field,
                expected="PEM files that belong together, readable, the key without a passphrase",
                remedy="`carelane pki show DIR` lists what `carelane pki init DIR` made",
            ) from error
        return context

    def state(self) -> tuple[int, ...]:
        """Changes when a file does, so that renewed certificates need no restart."""
        return tuple(file.stat().st_mtime_ns for file in (self.key, self.cert, self.ca))


def _no_password() -> str:
    raise InputError("the key has a passphrase")


def read_certificates(file: Path) -> Iterator[Certificate]:
    """All certificates of a PEM file. Raises InputError."""
    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it holds no PEM certificate"
        raise InputError(f"{file} cannot be read: {reason}") from error
    for certificate in found:
        names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        subject = str(names[0].value) if names else certificate.subject.rfc4514_string()
        yield Certificate(file, subject, certificate.not_valid_before_utc, certificate.not_valid_after_utc)
