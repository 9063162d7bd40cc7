"""OIDC access tokens (RFC 9068): signature by the issuer's published keys, issuer, audience, times, role and tenant."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from carelane.api.auth.principals import Principal, Role, check_binding
from carelane.api.hosts import is_loopback
from carelane.errors import ForbiddenError, InputError, TransientError, UnauthenticatedError

__all__ = ["TokenRules", "TokenVerifier"]

ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
"""Asymmetric signatures only: a shared secret would let every holder of it make tokens."""

MAX_TOKEN = 16_384
MAX_DOCUMENT = 2**20
KEYS_AGE_S = 300.0
REFRESH_S = 10.0
"""How often at most the keys are fetched anew because of an unknown key id, which anybody can send."""

_WRONG = "the token is not valid"


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must be. `roles` maps what the issuer calls roles to ours, beside our own names."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    leeway_s: float = 30.0
    role_claim: str = "carelane_role"
    tenant_claim: str = "carelane_tenant"
    device_claim: str = "carelane_device"
    roles: Mapping[str, Role] = field(default_factory=dict)
    jwks_url: str | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.algorithms if name not in ALGORITHMS]
        if unknown or not self.algorithms:
            raise InputError(
                f"{', '.join(unknown) or 'no algorithm'} is not accepted",
                field="CARELANE_OIDC_ALGORITHMS",
                expected=f"some of {', '.join(sorted(ALGORITHMS))}",
            )
        for name, url in (("ISSUER", self.issuer), ("JWKS_URL", self.jwks_url)):
            if url is not None and not _trustworthy(url):
                raise InputError(f"{url[:100]!r} is not https", field=f"CARELANE_OIDC_{name}", expected="https://...")


def _trustworthy(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


class TokenVerifier:
    """Verifies tokens of one issuer. Thread-safe; fetches the issuer's keys when first needed."""

    def __init__(
        self,
        rules: TokenRules,
        *,
        fetch: Callable[[str], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules, self._fetch, self._clock = rules, fetch or _fetch_json, clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched: float | None = None
        self._lock = threading.Lock()

    def verify(self, token: str) -> Principal:
        """Whose token it is. Raises UnauthenticatedError, ForbiddenError (no role), TransientError (no keys)."""
        if len(token) > MAX_TOKEN:
            raise UnauthenticatedError(_WRONG)
        try:
            head = jwt.get_unverified_header(token)
            if head.get("alg") not in self._rules.algorithms:
                raise UnauthenticatedError(_WRONG)
            claims = jwt.decode(
                token,
                self._key(str(head.get("kid", ""))),
                algorithms=list(self._rules.algorithms),
                issuer=self._rules.issuer,
                audience=self._rules.audience,
                leeway=self._rules.leeway_s,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise UnauthenticatedError(_WRONG) from error
        return self._principal(claims)

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        if not isinstance(claims["sub"], str) or not claims["sub"].strip():
            raise UnauthenticatedError(_WRONG)
        stated = claims.get(self._rules.role_claim)
        names = stated if isinstance(stated, list) else [stated]
        ours = {role.value: role for role in Role} | dict(self._rules.roles)
        roles = [ours[name] for name in names if isinstance(name, str) and name in ours]
        tenant = claims.get(self._rules.tenant_claim)
        if not roles or not isinstance(tenant, (str, type(None))):
            raise ForbiddenError("the token gives no role in carelane")
        role = max(roles, key=list(Role).index)
        try:
            check_binding(role, tenant or None)
        except InputError as error:
            raise ForbiddenError(f"the token's role and tenant do not fit: {error.message}") from error
        scope = claims.get("scope", claims.get("scp"))
        scopes = scope.split() if isinstance(scope, str) else scope if isinstance(scope, list) else None
        return Principal(
            f"oidc:{claims['sub']}",
            "oidc",
            role,
            tenant or None,
            frozenset(map(str, scopes)) if scopes is not None else None,
            _device(claims.get(self._rules.device_claim)),
        )

    def _key(self, key_id: str) -> jwt.PyJWK:
        with self._lock:
            age = None if self._fetched is None else self._clock() - self._fetched
            if age is None or age > KEYS_AGE_S or (key_id not in self._keys and age > REFRESH_S):
                self._keys = self._published()
                self._fetched = self._clock()
            if key_id not in self._keys:
                raise UnauthenticatedError(_WRONG)
            return self._keys[key_id]

    def _published(self) -> dict[str, jwt.PyJWK]:
        rules = self._rules
        try:
            url = rules.jwks_url
            if url is None:
                found = self._fetch(rules.issuer.rstrip("/") + "/.well-known/openid-configuration")
                url = str(found["jwks_uri"])
                if found.get("issuer") != rules.issuer or not _trustworthy(url):
                    raise ValueError("the issuer's configuration names another issuer or an address without https")
            keys = jwt.PyJWKSet.from_dict(self._fetch(url)).keys
        except (httpx.HTTPError, jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
            raise TransientError(f"the issuer's keys cannot be had: {error}") from error
        return {key.key_id: key for key in keys if key.key_id is not None and key.public_key_use in (None, "sig")}


def _device(stated: object) -> str | None:
    """The address of the device a token speaks for. Raises ForbiddenError when it is none."""
    if stated is None:
        return None
    try:
        return str(ip_address(str(stated)))
    except ValueError as error:
        raise ForbiddenError("the token's device is not an IP address") from error


def _fetch_json(url: str) -> Any:
    """Bounded in time and size; no redirects, which could lead anywhere."""
    with httpx.Client(timeout=5.0, follow_redirects=False) as client, client.stream("GET", url) as answer:
        answer.raise_for_status()
        data = bytearray()
        for chunk in answer.iter_bytes():
            data += chunk
            if len(data) > MAX_DOCUMENT:
                raise ValueError("larger than 1 MiB")
    return json.loads(data)
