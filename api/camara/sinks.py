"""Notifications to sinks: CloudEvents over HTTPS, at least once, with patience that ends."""

from __future__ import annotations

import ipaddress
import random
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import structlog

from carelane.api.hosts import is_loopback

__all__ = ["SinkRules", "Sinks"]

log = structlog.get_logger(__name__)

TIMEOUT_S = 5.0
MAX_ATTEMPTS = 8
BASE_S = 1.0
CAP_S = 300.0
_FINAL = frozenset({400, 401, 403, 404, 405, 410, 413, 415})


@dataclass(frozen=True, slots=True)
class SinkRules:
    """`hosts`: the only ones that may be notified. Empty: any but this machine, which a consumer has no business on."""

    hosts: frozenset[str] = frozenset()

    def accepts(self, url: str) -> bool:
        """https, a host, no user, and a host that may be notified."""
        try:
            parts = urlsplit(url)
            host, _port = (parts.hostname or "").lower().rstrip("."), parts.port
        except ValueError:
            return False
        sound = url.startswith("https://") and url.isprintable() and " " not in url
        if not sound or not host or parts.username is not None:
            return False
        return host in self.hosts if self.hosts else not _inward(host)


def _inward(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost") or is_loopback(host):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_link_local or address.is_unspecified or address.is_multicast


class Sinks:
    """Sends one notification; says what is to become of it."""

    def __init__(
        self,
        *,
        verify: ssl.SSLContext | bool = True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        base_s: float = BASE_S,
    ) -> None:
        self._client = httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, verify=verify, trust_env=False)
        self._now, self._base_s = now, base_s

    def close(self) -> None:
        self._client.close()

    def deliver(self, event: Mapping[str, Any], sink: str, credential: Mapping[str, Any]) -> dict[str, Any]:
        """One attempt; the values its row takes: delivered, given up, or when to try again."""
        attempts = event["attempts"] + 1
        expires = credential.get("accessTokenExpiresUtc")
        if expires is not None and datetime.fromisoformat(expires) <= self._now():
            return self._over(event, attempts, "the sink's token has expired")
        headers = {"Content-Type": "application/cloudevents+json", "x-correlator": event["id"]}
        if credential:
            headers["Authorization"] = f"Bearer {credential['accessToken']}"
        try:
            answer = self._client.post(sink, json=event["payload"], headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, ssl.SSLError) as error:
            return self.later(event, type(error).__name__)
        if answer.is_success:
            return {"attempts": attempts, "outcome": "delivered", "next_try_at": None}
        if answer.status_code in _FINAL:
            return self._over(event, attempts, f"the sink answered {answer.status_code}")
        return self.later(event, f"the sink answered {answer.status_code}")

    def later(self, event: Mapping[str, Any], why: str) -> dict[str, Any]:
        """The values its row takes after an attempt that failed: when to try again, or that it is given up."""
        attempts = event["attempts"] + 1
        if attempts >= MAX_ATTEMPTS:
            return self._over(event, attempts, why)
        wait_s = min(CAP_S, self._base_s * 2.0 ** (attempts - 1)) * random.uniform(0.8, 1.2)  # noqa: S311
        return {
            "attempts": attempts,
            "outcome": "waiting",
            "next_try_at": self._now() + timedelta(seconds=wait_s),
        }

    def _over(self, event: Mapping[str, Any], attempts: int, why: str) -> dict[str, Any]:
        log.warning("notification given up", event_id=event["id"], session=event["session_id"], why=why)
        return {"attempts": attempts, "outcome": "given up", "next_try_at": None}
