"""A small authority for labs and first deployments: its own certificate, the controller's, and one for each switch.

Keys are ECDSA on P-256 and readable by their owner only. Nothing that exists is overwritten unless forced, and
nothing is written before everything has been made.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from carelane.errors import ConflictError, InputError

__all__ = ["AUTHORITY", "CONTROLLER", "Authority", "found", "init", "issue"]

AUTHORITY = "ca"
CONTROLLER = "controller"
_AUTHORITY_DAYS = 3650
_SKEW = timedelta(minutes=5)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PURPOSES = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
"""Both for both: a switch is a client of OpenFlow and a server of OVSDB, the controller the other way round."""


@dataclass(frozen=True)
class Authority:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"carelane authority {secrets.token_hex(4)}")])
        usage = _usage(signs_certificates=True)
        certificate = (
            _builder(name, name, key.public_key(), _AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    @classmethod
    def load(cls, folder: Path) -> Authority:
        """Raises InputError when the folder holds none."""
        try:
            key = serialization.load_pem_private_key((folder / f"{AUTHORITY}.key").read_bytes(), None)
            certificate = x509.load_pem_x509_certificate((folder / f"{AUTHORITY}.crt").read_bytes())
        except (OSError, ValueError, TypeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"{folder} holds no usable authority ({reason})", remedy="make one with `carelane pki init DIR`"
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise InputError(f"{folder / AUTHORITY}.key is not an ECDSA key, so carelane did not make it")
        return cls(key, certificate)

    def sign(self, name: str, hosts: Sequence[str], days: int) -> Mapping[str, bytes]:
        """Key and certificate of a new `name`, by file name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            _builder(subject, self.certificate.subject, key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(_PURPOSES, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_host, hosts))), critical=False)
        return _pem(name, key, builder.sign(self.key, hashes.SHA256()))


def init(folder: Path, hosts: Sequence[str], switches: Sequence[str], *, days: int, force: bool) -> list[Path]:
    """Make an authority and certificates of the controller (valid for `hosts`) and the switches; the files written.

    Raises InputError, or ConflictError when one of the files exists and `force` is not given.
    """
    authority = Authority.make()
    files = {**_pem(AUTHORITY, authority.key, authority.certificate)}
    for name in (CONTROLLER, *dict.fromkeys(switches)):
        files.update(authority.sign(_checked(name), hosts if name == CONTROLLER else (), days))
    return _write(folder, files, force=force)


def issue(folder: Path, name: str, hosts: Sequence[str], *, days: int, force: bool) -> list[Path]:
    """One more certificate of the folder's authority, or a renewed one. Raises as `init` does."""
    return _write(folder, Authority.load(folder).sign(_checked(name), hosts, days), force=force)


def found(folder: Path) -> list[Path]:
    """The certificates in a folder. Raises InputError when there are none."""
    files = sorted(folder.glob("*.crt"))
    if not files:
        raise InputError(f"{folder} holds no certificates", remedy="make them with `carelane pki init DIR`")
    return files


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        return x509.DNSName(text)
    except ValueError as error:
        raise InputError(f"{text!r} is neither a host name nor an address", field="--host") from error


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or name == AUTHORITY:
        raise InputError(
            f"{name[:80]!r} cannot name a certificate",
            expected=f"letters, digits, dot, dash and underscore, at most 64, and not {AUTHORITY!r}",
        )
    return name


def _pem(name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> Mapping[str, bytes]:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {f"{name}.key": private, f"{name}.crt": certificate.public_bytes(serialization.Encoding.PEM)}


def _write(folder: Path, files: Mapping[str, bytes], *, force: bool) -> list[Path]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        existing = [name for name in files if (folder / name).exists()]
        if existing and not force:
            raise ConflictError(
                f"{folder / existing[0]} exists; overwriting it with --force makes what was signed or trusted with it "
                "worthless"
            )
        for name, data in files.items():
            part = folder / f".{name}.part"
            part.unlink(missing_ok=True)
            mode = 0o600 if name.endswith(".key") else 0o644
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as output:
                output.write(data)
            part.replace(folder / name)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}") from error
    return [folder / name for name in files]
