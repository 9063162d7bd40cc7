"""OIDC tokens, signed by a real key and fetched from a real issuer on this machine."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import RSAAlgorithm

from carelane.api.auth import Role, TokenRules, TokenVerifier
from carelane.api.auth.setup import token_rules
from carelane.errors import ForbiddenError, InputError, TransientError, UnauthenticatedError
from carelane.settings import Settings


class Issuer:
    """An identity provider with one key, which can be replaced."""

    def __init__(self) -> None:
        self.fetches = 0
        self.rotate("k1")
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetches += 1
                documents = {
                    "/.well-known/openid-configuration": {"issuer": issuer.url, "jwks_uri": issuer.url + "/keys"},
                    "/keys": issuer.keys,
                }
                self.send_response(200 if self.path in documents else 404)
                self.end_headers()
                self.wfile.write(json.dumps(documents.get(self.path, {})).encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def rotate(self, key_id: str) -> None:
        self.key_id, self.key = key_id, rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        self.keys = {"keys": [{**public, "kid": key_id, "use": "sig", "alg": "RS256"}]}

    def token(self, key: Any = None, algorithm: str = "RS256", key_id: str | None = None, **claims: Any) -> str:
        now = int(time.time())
        base = {"iss": self.url, "aud": "carelane", "sub": "u1", "iat": now, "exp": now + 60,
                "carelane_role": "viewer"}  # fmt: skip
        stated = {name: value for name, value in {**base, **claims}.items() if value is not None}
        return jwt.encode(stated, key or self.key, algorithm, headers={"kid": key_id or self.key_id})


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def verifier(issuer: Issuer) -> TokenVerifier:
    return TokenVerifier(TokenRules(issuer.url, "carelane", roles={"their-engineers": Role.ENGINEER}))


def test_a_good_token_says_who_it_is(issuer: Issuer, verifier: TokenVerifier) -> None:
    who = verifier.verify(issuer.token(carelane_role="hospital-it", carelane_tenant="alpha", scope="a b"))
    assert (who.subject, who.kind, who.role, who.tenant) == ("oidc:u1", "oidc", Role.HOSPITAL_IT, "alpha")
    assert who.scopes == {"a", "b"}
    assert verifier.verify(issuer.token(carelane_role=["their-engineers", "viewer", 3])).role is Role.ENGINEER


def test_what_is_wrong_with_a_token_is_found(issuer: Issuer, verifier: TokenVerifier) -> None:
    now = int(time.time())
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    shared = "0" * 64
    wrong = {
        "expired": issuer.token(exp=now - 31),
        "not yet": issuer.token(nbf=now + 60),
        "no end": issuer.token(exp=None),
        "no subject": issuer.token(sub=None),
        "empty subject": issuer.token(sub=" "),
        "other issuer": issuer.token(iss="https://evil.example"),
        "other audience": issuer.token(aud="mail"),
        "no audience": issuer.token(aud=None),
        "forged": issuer.token(key=stranger),
        "unknown key": issuer.token(key_id="k9"),
        "other algorithm": issuer.token(key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
        "shared secret": issuer.token(key=shared, algorithm="HS256"),
        "none": jwt.encode({"iss": issuer.url, "aud": "carelane", "sub": "u", "exp": now + 60}, "", "none"),
        "huge": "a" * 20_000,
        "garbage": "a.b.c",
    }
    for name, token in wrong.items():
        try:
            verifier.verify(token)
        except UnauthenticatedError:
            continue
        pytest.fail(f"{name}: taken for good")


def test_clocks_may_differ_a_little(issuer: Issuer, verifier: TokenVerifier) -> None:
    assert verifier.verify(issuer.token(exp=int(time.time()) - 10))


@pytest.mark.parametrize(
    "claims",
    [
        {"carelane_role": None},
        {"carelane_role": "king"},
        {"carelane_role": "hospital-it"},
        {"carelane_role": "admin", "carelane_tenant": "alpha"},
        {"carelane_tenant": 7},
    ],
)
def test_a_token_without_a_role_that_fits_may_nothing(
    issuer: Issuer, verifier: TokenVerifier, claims: dict[str, Any]
) -> None:
    with pytest.raises(ForbiddenError):
        verifier.verify(issuer.token(**claims))


def test_new_keys_are_found_and_unknown_ones_do_not_flood_the_issuer(issuer: Issuer) -> None:
    clock = [100.0]
    verifier = TokenVerifier(TokenRules(issuer.url, "carelane"), clock=lambda: clock[0])
    verifier.verify(issuer.token())
    before = issuer.fetches
    for number in range(20):
        with pytest.raises(UnauthenticatedError):
            verifier.verify(issuer.token(key_id=f"u{number}"))
    assert issuer.fetches == before
    issuer.rotate("k2")
    clock[0] += 11
    assert verifier.verify(issuer.token()).subject == "oidc:u1"


def test_an_issuer_that_is_away_is_not_the_callers_fault(issuer: Issuer) -> None:
    def away(_url: str) -> Any:
        raise ValueError("away")

    with pytest.raises(TransientError):
        TokenVerifier(TokenRules(issuer.url, "carelane"), fetch=away).verify(issuer.token())


@pytest.mark.parametrize(
    "changes",
    [
        {"oidc_issuer": "http://issuer.example"},
        {"oidc_audience": None},
        {"oidc_algorithms": "HS256"},
        {"oidc_algorithms": "none"},
        {"oidc_algorithms": ""},
        {"oidc_jwks_url": "http://keys.example"},
        {"oidc_role_map": "x=king"},
    ],
)
def test_settings_that_would_let_too_many_in_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        token_rules(Settings(**{"oidc_issuer": "https://issuer.example", "oidc_audience": "carelane", **changes}))
