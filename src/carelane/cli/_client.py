"""Calls to a running server. The standard library's HTTP client: a larger one would double the start-up time."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
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

__all__ = ["Client"]

DEFAULT_URL = "http://127.0.0.1:8642"
TIMEOUT_S = 60.0
_REMEDY = "start one with `carelane up`, or name it with --url or CARELANE_URL"


@dataclass(frozen=True, slots=True)
class Client:
    """A carelane server at `url`. Every call raises an error of carelane.errors, never one of the HTTP client."""

    url: str

    @classmethod
    def at(cls, url: str | None) -> Client:
        """Raises InputError when `url` is not one."""
        base = (url or DEFAULT_URL).rstrip("/")
        try:
            parts = urlsplit(base)
            valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
        except ValueError:
            valid = False
        if not valid or "?" in base or "#" in base:
            raise InputError(f"{base[:100]!r} is not a server's address", field="--url", expected=DEFAULT_URL)
        return cls(base)

    def get(self, *path: str, **query: str) -> Any:
        return self._call("GET", path, query)

    def delete(self, *path: str) -> Any:
        return self._call("DELETE", path, {})

    def post(self, *path: str, body: bytes, media_type: str, **query: str) -> Any:
        return self._call("POST", path, query, body, media_type)

    def _call(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, str],
        body: bytes | None = None,
        media_type: str | None = None,
    ) -> Any:
        target = self.url + "".join(f"/{quote(part, safe='')}" for part in path)
        if query:
            target += "?" + urlencode(query)
        request = urllib.request.Request(target, body, method=method)  # noqa: S310 - the scheme was checked in `at`
        request.add_header("Accept", "application/json, application/problem+json")
        if media_type:
            request.add_header("Content-Type", media_type)
        try:
            with self._opener().open(request, timeout=TIMEOUT_S) as response:
                return _decode(response.read(), self.url)
        except urllib.error.HTTPError as error:
            with error:
                raise _from_problem(error.code, error.read(), self.url) from None
        except TimeoutError as error:
            raise ServerUnavailable(f"{self.url} did not answer within {TIMEOUT_S:g} s") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise ServerUnavailable(f"no carelane server at {self.url} ({reason}); {_REMEDY}") from error

    def _opener(self) -> urllib.request.OpenerDirector:
        """A proxy set for the outside world is of no use for a server on this machine."""
        handlers = [urllib.request.ProxyHandler({})] if is_loopback(urlsplit(self.url).hostname or "") else []
        return urllib.request.build_opener(*handlers)


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
    if kind == "conflict":
        return ConflictError(detail)
    if status == 503:
        return TransientError(detail)
    instance = f" (instance {body['instance']})" if "instance" in body else ""
    return PermanentError(f"the server answered {status}: {detail}{instance}")
