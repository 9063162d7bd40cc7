"""Which requests are looked at at all, before anybody is asked for a credential.

A page in the operator's browser can reach loopback too. Two things stop it: the Host check (DNS rebinding makes the
browser send the attacker's name) and, on calls that change something, media types that a browser does not send to
another origin without asking first (Fetch standard, CORS-safelisted request headers).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from carelane.api.hosts import is_loopback
from carelane.api.rest.problems import problem

__all__ = ["MEDIA_TYPES", "Guard", "Heads"]

MEDIA_TYPES = frozenset(
    {
        "application/json",
        "application/merge-patch+json",
        "application/yaml",
        "application/x-yaml",
        "application/vnd.yaml",
        "text/yaml",
        "text/x-yaml",
    }
)
_CHANGING = frozenset({"POST", "PUT", "PATCH"})
_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[^\s:\[\]@/]+))(?::[0-9]{0,5})?")
_LOCAL_NAMES = frozenset({"localhost"})


class Guard:
    """ASGI middleware: Host names and, for changing methods, media types."""

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str] = (), any_address: bool = False) -> None:
        """`any_address`: also answer to literal addresses beyond loopback, as a server bound to all of them must;
        rebinding needs a name, so an address is safe."""
        self._app = app
        self._allowed = _LOCAL_NAMES | {host.lower().rstrip(".") for host in allowed_hosts}
        self._any_address = any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            refusal = self._host_fault(headers.getlist("host")) or _media_fault(scope, headers)
            if refusal is not None:
                status, detail = refusal
                await problem(status, detail, headers=_accept(status))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _host_fault(self, values: list[str]) -> tuple[int, str] | None:
        if len(values) == 1 and self._answers_to(values[0]):
            return None
        shown = values[0][:100] if values else "nothing"
        return 421, f"this server does not answer to the host name {shown!r}; start it with --allowed-host to let it"

    def _answers_to(self, value: str) -> bool:
        name = _host_name(value)
        if name in self._allowed or is_loopback(name):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._any_address


class Heads:
    """ASGI middleware: HEAD is answered as GET, without the body (RFC 9110, section 9.3.2); a stream ends at once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app({**scope, "method": "GET"}, receive, head)


def _host_name(value: str) -> str:
    """``[::1]:80`` -> ``::1``; ``Example.org.:80`` -> ``example.org``; what is not a host and port -> nothing."""
    match = _HOST.fullmatch(value.strip().lower())
    return (match["v6"] or match["name"].rstrip(".")) if match else ""


def _media_fault(scope: Scope, headers: Headers) -> tuple[int, str] | None:
    """CAMARA's faces check for themselves: their specification has an answer of its own."""
    method = scope["method"]
    if scope["path"].startswith(("/quality-on-demand/", "/qos-profiles/")):
        return None
    empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    if method not in _CHANGING or (empty and "content-type" not in headers):
        return None
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    if given in MEDIA_TYPES:
        return None
    return 415, f"content type {given[:60] or 'missing'!r}; send one of {', '.join(sorted(MEDIA_TYPES))}"


def _accept(status: int) -> dict[str, str]:
    return {"Accept-Post": ", ".join(sorted(MEDIA_TYPES))} if status == 415 else {}
