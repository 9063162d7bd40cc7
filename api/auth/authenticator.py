"""From an Authorization header to a principal, the same for every door."""

from __future__ import annotations

from carelane.api.auth.keys import KeyRing, is_api_key
from carelane.api.auth.principals import Principal
from carelane.api.auth.rates import Buckets
from carelane.api.auth.tokens import TokenVerifier
from carelane.errors import UnauthenticatedError

__all__ = ["Authenticator"]

FAILURES_PER_S = 5.0
FAILURES_BURST = 50


class Authenticator:
    """API keys, and with `tokens` also OIDC. Each caller has a bucket; failures have one for each address."""

    def __init__(self, keys: KeyRing, tokens: TokenVerifier | None, buckets: Buckets) -> None:
        self.keys = keys
        self._tokens = tokens
        self._buckets = buckets
        self._failures = Buckets(FAILURES_PER_S, FAILURES_BURST)

    def authenticate(self, authorization: str | None, peer: str) -> Principal:
        """Raises UnauthenticatedError, ForbiddenError or TooManyRequests. `peer` is the address that asks."""
        try:
            principal = self._principal(authorization)
        except UnauthenticatedError:
            self._failures.take(peer)
            raise
        self._buckets.take(principal.subject)
        return principal

    def remembers(self, authorization: str | None) -> bool:
        """Whether `authenticate` will answer at once: no database, no hashing, no other server."""
        scheme, credential = _split(authorization)
        return scheme == "bearer" and self.keys.remembers(credential)

    def _principal(self, authorization: str | None) -> Principal:
        scheme, credential = _split(authorization)
        if scheme != "bearer" or not credential:
            raise UnauthenticatedError("send `Authorization: Bearer` with an API key or a token")
        if is_api_key(credential):
            return self.keys.verify(credential)
        if self._tokens is None:
            raise UnauthenticatedError("the credential is not valid")
        return self._tokens.verify(credential)


def _split(authorization: str | None) -> tuple[str, str]:
    scheme, _, credential = (authorization or "").strip().partition(" ")
    return scheme.lower(), credential.strip()
