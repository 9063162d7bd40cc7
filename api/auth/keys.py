"""API keys: ``carelane_<id>_<secret>``. The secret is shown once; what is stored is its argon2id hash (RFC 9106).

Secrets are 256 random bits, so nobody guesses one from a stolen hash whatever hashing costs. The parameters are
therefore small: what passwords need would only let wrong keys keep the processors busy. Verified keys are remembered
for a short while under their SHA-256; a revocation holds at once in this process and within `ROW_AGE_S` in others.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from carelane.api.auth.principals import Principal, Role, check_binding
from carelane.errors import InputError, UnauthenticatedError
from carelane.key_files import write_secret
from carelane.store import ApiKey, Store, Writer

__all__ = ["PREFIX", "KeyRing", "is_api_key"]

PREFIX = "carelane_"
ROW_AGE_S = 5.0
MAX_REMEMBERED = 1024
_FORM = re.compile(r"carelane_(?P<id>[a-z0-9]{12})_(?P<secret>[A-Za-z0-9_-]{43})")
_LABEL = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_BUSY = threading.BoundedSemaphore(2)
_WRONG = "the API key is not valid"


def is_api_key(credential: str) -> bool:
    """Whether it claims to be one."""
    return credential.startswith(PREFIX)


class KeyRing:
    """Makes, verifies and revokes keys of one store. Thread-safe."""

    def __init__(
        self,
        store: Store,
        *,
        hasher: PasswordHasher | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._now, self._clock = store, now, clock
        self._hasher = hasher or PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1)
        self._known: OrderedDict[bytes, tuple[ApiKey, float]] = OrderedDict()
        self._lock = threading.Lock()

    def create(
        self,
        *,
        label: str,
        role: Role,
        tenant: str | None = None,
        expires_at: datetime | None = None,
        also: Callable[[Writer, ApiKey, str], None] | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its full text, which nobody can learn later. `also` runs in the same transaction."""
        check_binding(role, tenant)
        if not _LABEL.fullmatch(label):
            raise InputError("not a label", field="label", expected="1 to 100 printable characters")
        if expires_at is not None and expires_at <= self._now():
            raise InputError("that is past", field="expires_at", expected="a time to come")
        key_id = "".join(secrets.choice(_ALPHABET) for _ in range(12))
        text = f"{PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
        hashed = self._hasher.hash(text)
        with self._store.write() as write:
            key = write.add_key(key_id, hashed, label=label, role=role, tenant=tenant, expires_at=expires_at)
            if also is not None:
                also(write, key, text)
        self._remember(_digest(text), key)  # nobody has to prove what was made here
        return key, text

    def first(self, file: Path) -> bool:
        """When the store has no key at all, make an admin key and write it to `file` (mode 0600). Raises InputError."""
        with self._store.read() as read:
            if read.api_keys():
                return False

        def keep(write: Writer, key: ApiKey, text: str) -> None:
            if len(write.api_keys()) > 1:
                raise _Taken
            _write_secret(file, text)
            write.record_audit(
                subject="carelane up",
                role=Role.ADMIN,
                tenant=None,
                action="key.create",
                target=key.id,
                before=None,
                after={"label": key.label, "role": key.role},
                request_id="first start",
            )

        try:
            self.create(label="first admin key", role=Role.ADMIN, also=keep)
        except _Taken:
            return False
        return True

    def recover(self, file: Path, *, subject: str, revoke_admins: bool) -> ApiKey:
        """An admin key for whoever may write the store itself, written to `file` (mode 0600). Raises InputError.

        `revoke_admins` makes every other admin key worthless, for when the lost one may be in wrong hands.
        """

        def keep(write: Writer, key: ApiKey, text: str) -> None:
            others = [other for other in write.api_keys() if other.id != key.id and other.role == Role.ADMIN]
            gone = [other for other in others if other.revoked_at is None] if revoke_admins else []
            for action, target, before in (("key.create", key, None), *(("key.revoke", item, item) for item in gone)):
                after = write.revoke_key(target.id) if before is not None else target
                write.record_audit(
                    subject=subject,
                    role=Role.ADMIN,
                    tenant=None,
                    action=action,
                    target=target.id,
                    before=None if before is None else {"label": before.label, "revoked": False},
                    after={"label": after.label, "role": after.role, "revoked": after.revoked_at is not None},
                    request_id="command line",
                )
            _write_secret(file, text)

        key, _ = self.create(label="recovered admin key", role=Role.ADMIN, also=keep)
        return key

    def verify(self, text: str) -> Principal:
        """Whose key it is. Raises UnauthenticatedError, which does not say why."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise UnauthenticatedError(_WRONG)
        digest = _digest(text)
        key = self._remembered(digest, match["id"])
        if key is None:
            with self._store.read() as read:
                key = read.api_key(match["id"])
            if key is None or not self._matches(key, text):
                raise UnauthenticatedError(_WRONG)
            self._remember(digest, key)
        if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= self._now()):
            raise UnauthenticatedError(_WRONG)
        return Principal(f"key:{key.id}", "api-key", Role(key.role), key.tenant)

    def revoke(self, key_id: str, *, also: Callable[[Writer, ApiKey], None] | None = None) -> ApiKey:
        """Idempotent. Raises NotFoundError."""
        with self._store.write() as write:
            key = write.revoke_key(key_id)
            if also is not None:
                also(write, key)
        with self._lock:
            self._known = OrderedDict((d, held) for d, held in self._known.items() if held[0].id != key_id)
        return key

    def remembers(self, text: str) -> bool:
        """Whether this key was verified so recently that `verify` needs no database."""
        with self._lock:
            held = self._known.get(_digest(text))
        return held is not None and self._clock() - held[1] <= ROW_AGE_S

    def _remembered(self, digest: bytes, key_id: str) -> ApiKey | None:
        """The key behind a verified text; its row is read again when it is older than ROW_AGE_S."""
        with self._lock:
            held = self._known.get(digest)
        if held is None:
            return None
        key, seen = held
        if self._clock() - seen <= ROW_AGE_S:
            return key
        with self._store.read() as read:
            fresh = read.api_key(key_id)
        if fresh is None or fresh.hash != key.hash:
            return None
        self._remember(digest, fresh)
        return fresh

    def _remember(self, digest: bytes, key: ApiKey) -> None:
        with self._lock:
            self._known[digest] = (key, self._clock())
            self._known.move_to_end(digest)
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)

    def _matches(self, key: ApiKey, text: str) -> bool:
        """In constant time for one hash; at most two at once, so that wrong keys do not take all processors."""
        with _BUSY:
            try:
                return self._hasher.verify(key.hash, text)
            except (VerificationError, InvalidHashError):
                return False


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


class _Taken(Exception):
    """Another process made the first key meanwhile."""


def _write_secret(file: Path, text: str) -> None:
    try:
        write_secret(file, text + "\n")
    except OSError as error:
        raise InputError(
            f"cannot write the admin key: {error.strerror or error}", str(file), field="CARELANE_KEY_FILE"
        ) from error
