"""Secrets of others that have to be kept for a while: sealed in the store, with keys that lie outside of it.

Fernet (AES-128-CBC with HMAC-SHA256) of the `cryptography` library. The file holds a key a line; the first one seals,
every one opens. It is read at each use, so that a rotation takes effect at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from carelane.errors import InputError, PermanentError
from carelane.key_files import write_secret

__all__ = ["Vault"]

log = structlog.get_logger(__name__)

_SETTING = "CARELANE_SEAL_FILE"


class Vault:
    """Thread-safe. Raises InputError when `file` cannot be used; it is made, with a first key, when first needed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()

    def seal(self, secret: Mapping[str, Any]) -> dict[str, Any]:
        """What may be stored: ``{"key": which, "sealed": text}``."""
        first = self._keys(make=True)[0]
        return {"key": _name(first), "sealed": Fernet(first).encrypt(json.dumps(secret).encode()).decode()}

    def open(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """What was sealed. A secret from before there were seals is itself. Raises PermanentError without its key."""
        if "sealed" not in stored:
            return dict(stored)
        keys = self._keys()
        try:
            opened = MultiFernet([Fernet(key) for key in keys]).decrypt(stored["sealed"].encode()) if keys else None
        except InvalidToken:
            opened = None
        if opened is None:
            raise PermanentError(
                f"a secret in the store was sealed with key {stored.get('key')}, which {self._file} does not hold; "
                "copy the file from the controller that sealed it, or from where it was saved"
            )
        found: dict[str, Any] = json.loads(opened)
        return found

    def stale(self, stored: Mapping[str, Any]) -> bool:
        """Whether it is in the clear, or sealed with an older key that we hold."""
        if "sealed" not in stored:
            return True
        names = [_name(key) for key in self._keys()]
        return stored.get("key") in names[1:]

    def rotate(self) -> str:
        """Make a new key that seals from now on; older ones still open. Its name."""
        with self._lock:
            new = Fernet.generate_key()
            self._write([new, *self._read()])
        return _name(new)

    def drop_old(self) -> int:
        """Forget every key but the newest; how many went. What only they open is lost."""
        with self._lock:
            keys = self._read()
            if len(keys) > 1:
                self._write(keys[:1])
        return max(0, len(keys) - 1)

    def _keys(self, *, make: bool = False) -> Sequence[bytes]:
        with self._lock:
            keys = self._read()
            if make and not keys:
                keys = [Fernet.generate_key()]
                self._write(keys)
                log.info("made a key that seals secrets in the store", file=str(self._file), key=_name(keys[0]))
            return keys

    def _read(self) -> list[bytes]:
        try:
            with self._file.open("rb") as handle:
                if _open_to_others(handle.fileno()):
                    raise InputError(
                        "others may read it", str(self._file), field=_SETTING, remedy=f"chmod 600 {self._file}"
                    )
                keys = handle.read(65536).split()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InputError(f"cannot read it: {error.strerror or error}", str(self._file), field=_SETTING) from error
        try:
            for key in keys:
                Fernet(key)
        except ValueError as error:
            raise InputError(
                "holds a line that is no key", str(self._file), field=_SETTING, expected="what rotate-seal writes"
            ) from error
        return keys

    def _write(self, keys: Sequence[bytes]) -> None:
        try:
            write_secret(self._file, "".join(f"{key.decode()}\n" for key in keys))
        except OSError as error:
            raise InputError(f"cannot write it: {error.strerror or error}", str(self._file), field=_SETTING) from error


def _open_to_others(descriptor: int) -> bool:
    return bool(stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077)


def _name(key: bytes) -> str:
    """Tells keys apart and gives nothing of them away."""
    return hashlib.sha256(key).hexdigest()[:8]
