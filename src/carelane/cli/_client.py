"""Calls to a running server. The standard library's HTTP client: a larger one would double the start-up time."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from carelane.api.hosts import is_loopback
from carelane.errors import (
    CarelaneError,
    ConflictError,
    InputError,
    NotFoundError,
    PermanentError,
    ServerUnavailable,
    TransientError,
)
from carelane.key_files import DEFAULT_DATABASE, key_file

__all__ = ["Client"]

DEFAULT_URL = "http://127.0.0.1:8642"
TIMEOUT_S = 60.0
PAGE = 1000
Query = Mapping[str, str | Sequence[str]]
_REMEDY = "start one with `carelane up`, or name it with --url or CARELANE_URL"


@dataclass(frozen=True, slots=True)
class Client:
    """A carelane server at `url`. Every call raises an error of carelane.errors, never one of the HTTP client.

    `credential` is an API key or a token. A call that is not answered within `timeout_s` fails.
    """

    url: str
    credential: str | None = field(default=None, repr=False)
    timeout_s: float = TIMEOUT_S

    @classmethod
    def at(cls, url: str | None, timeout_s: float = TIMEOUT_S) -> Client:
        """Raises InputError when `url` is not one."""
        base = (url or DEFAULT_URL).rstrip("/")
        try:
            parts = urlsplit(base)
            valid = parts.scheme in ("http", "https") and (parts.port is None or parts.port)
            host = (parts.hostname or "") if valid else ""
        except ValueError:
            host = ""
        if not host or "?" in base or "#" in base:
            raise InputError(f"{base[:100]!r} is not a server's address", field="--url", expected=DEFAULT_URL)
        return cls(base, _credential(host), timeout_s)

    def get(self, *path: str, **query: str | Sequence[str]) -> Any:
        return self._call("GET", path, query)

    def rows(self, key: str, *path: str, query: Query | None = None, most: int | None = None) -> list[Any]:
        """The rows of a list that comes by pages, under `key` in each; all of them, or at most `most`."""
        rows: list[Any] = []
        at: dict[str, str] = {}
        while True:
            wanted = PAGE if most is None else min(PAGE, most - len(rows))
            page = self._call("GET", path, {**(query or {}), "limit": str(wanted), **at})
            rows += page[key]
            if page["next_cursor"] is None or len(rows) == most:
                return rows
            at = {"cursor": page["next_cursor"]}

    def delete(self, *path: str, if_match: str | None = None) -> Any:
        return self._call("DELETE", path, {}, if_match=if_match)

    def post(
        self, *path: str, body: bytes, media_type: str, if_match: str | None = None, **query: str | Sequence[str]
    ) -> Any:
        return self._call("POST", path, query, body, media_type, if_match)

    def patch(self, *path: str, body: bytes, if_match: str | None = None) -> Any:
        return self._call("PATCH", path, {}, body, "application/merge-patch+json", if_match)

    def lines(self, *path: str, after: str | None = None, **query: str) -> Iterator[str]:
        """Lines of an answer that goes on, such as a stream of events; `after` is the id of the last one seen."""
        headers = {"Accept": "text/event-stream, application/problem+json"}
        if after is not None:
            headers["Last-Event-ID"] = after
        with self._open("GET", path, query, headers=headers) as response:
            for line in response:
                yield line.decode("utf-8", "replace").rstrip("\r\n")

    def _call(
        self,
        method: str,
        path: tuple[str, ...],
        query: Query,
        body: bytes | None = None,
        media_type: str | None = None,
        if_match: str | None = None,
    ) -> Any:
        headers = {"Accept": "application/json, application/problem+json"}
        if media_type:
            headers["Content-Type"] = media_type
        if if_match:
            headers["If-Match"] = if_match
        with self._open(method, path, query, body, headers) as response:
            return _decode(response.read(), self.url)

    @contextmanager
    def _open(
        self,
        method: str,
        path: tuple[str, ...],
        query: Query,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[HTTPResponse]:
        target = self.url + "".join(f"/{quote(part, safe='')}" for part in path)
        if query:
            target += "?" + urlencode(query, doseq=True)
        request = urllib.request.Request(target, body, method=method)  # noqa: S310 - the scheme was checked in `at`
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        if self.credential:
            request.add_unredirected_header("Authorization", f"Bearer {self.credential}")
        try:
            with self._opener().open(request, timeout=self.timeout_s) as response:
                yield response
        except urllib.error.HTTPError as error:
            with error:
                raise _from_problem(error.code, error.read(), self.url) from None
        except TimeoutError as error:
            raise ServerUnavailable(f"{self.url} did not answer within {self.timeout_s:g} s") from error
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise ServerUnavailable(f"no carelane server at {self.url} ({reason}); {_REMEDY}") from error

    def _opener(self) -> urllib.request.OpenerDirector:
        """A proxy set for the outside world is of no use for a server on this machine."""
        handlers: list[urllib.request.BaseHandler] = (
            [urllib.request.ProxyHandler({})] if is_loopback(urlsplit(self.url).hostname or "") else []
        )
        if self.url.startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(context=_trust()))
        return urllib.request.build_opener(*handlers)


def _trust() -> ssl.SSLContext:
    """The system's authorities, or those of CARELANE_TLS_CA. Raises InputError."""
    file = os.environ.get("CARELANE_TLS_CA") or None
    try:
        return ssl.create_default_context(cafile=file)
    except OSError as error:
        raise InputError(f"{file} cannot be used: {error.strerror or error}", field="CARELANE_TLS_CA") from error


def _credential(host: str) -> str | None:
    """CARELANE_API_KEY, else the file of the first admin key, which goes to a server on this machine only."""
    given = os.environ.get("CARELANE_API_KEY", "").strip()
    if given or not is_loopback(host):
        return given or None
    file = key_file(os.environ.get("CARELANE_KEY_FILE"), os.environ.get("CARELANE_DATABASE") or DEFAULT_DATABASE)
    try:
        return file.read_text(encoding="utf-8").strip()[:4096] or None
    except (OSError, UnicodeDecodeError):
        return None


def _decode(data: bytes, url: str) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise PermanentError(f"{url} answered with something other than JSON; is it a carelane server?") from error


def _from_problem(status: int, data: bytes, url: str) -> CarelaneError:
    """The error that the server raised, as far as its problem document tells."""
    try:
        body = json.loads(data)
        detail, kind = str(body["detail"]), str(body["type"]).rpartition(":")[2]
    except (ValueError, KeyError, TypeError):
        return PermanentError(f"{url} answered {status}; is it a carelane server?")
    if kind == "input":
        parts = {name: body.get(name) for name in ("file", "line", "field", "expected", "remedy")}
        return InputError(str(body.get("message", detail)), **parts)
    if kind == "not-found":
        return NotFoundError(detail)
    if kind in ("conflict", "precondition"):
        return ConflictError(detail)
    if kind in ("unauthenticated", "forbidden"):
        return PermanentError(f"{detail}; give another key with CARELANE_API_KEY or CARELANE_KEY_FILE")
    if status == 429:
        return TransientError(detail)
    if status == 503:
        return TransientError(detail)
    instance = f" (instance {body['instance']})" if "instance" in body else ""
    return PermanentError(f"the server answered {status}: {detail}{instance}")
