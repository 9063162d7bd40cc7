"""An authenticator from the settings, and the first key of a fresh store."""

from __future__ import annotations

from pathlib import Path

from carelane.api.auth.authenticator import Authenticator
from carelane.api.auth.keys import KeyRing
from carelane.api.auth.principals import Role
from carelane.api.auth.rates import Buckets
from carelane.api.auth.tokens import TokenRules, TokenVerifier
from carelane.errors import InputError
from carelane.key_files import key_file
from carelane.settings import Settings
from carelane.store import Store

__all__ = ["first_key", "make_authenticator"]


def make_authenticator(settings: Settings, store: Store) -> Authenticator:
    """API keys always; OIDC when an issuer is set. Raises InputError for settings that do not fit."""
    rules = token_rules(settings)
    return Authenticator(
        KeyRing(store),
        TokenVerifier(rules) if rules is not None else None,
        Buckets(settings.rate_per_s, settings.rate_burst),
    )


def first_key(settings: Settings, keys: KeyRing) -> Path | None:
    """On the first start, make a local admin key; where it was written. Where people come in by OIDC, none is made."""
    if settings.oidc_issuer is not None:
        return None
    file = key_file(settings.key_file, settings.database)
    return file if keys.first(file) else None


def token_rules(settings: Settings) -> TokenRules | None:
    if settings.oidc_issuer is None:
        return None
    if not settings.oidc_audience:
        raise InputError(
            "tokens for anybody would be accepted", field="CARELANE_OIDC_AUDIENCE", expected="the audience of tokens"
        )
    return TokenRules(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        algorithms=tuple(_parts(settings.oidc_algorithms)),
        leeway_s=settings.oidc_leeway_s,
        role_claim=settings.oidc_role_claim,
        tenant_claim=settings.oidc_tenant_claim,
        device_claim=settings.oidc_device_claim,
        roles=dict(_role(pair) for pair in _parts(settings.oidc_role_map)),
        jwks_url=settings.oidc_jwks_url,
    )


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _role(pair: str) -> tuple[str, Role]:
    theirs, _, ours = pair.partition("=")
    try:
        return theirs.strip(), Role(ours.strip())
    except ValueError as error:
        raise InputError(
            f"{pair[:60]!r} maps to no role",
            field="CARELANE_OIDC_ROLE_MAP",
            expected=f"THEIRS=OURS, ours one of {', '.join(Role)}",
        ) from error
