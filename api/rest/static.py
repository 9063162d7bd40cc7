"""The page: files of `carelane.api.static`, served as they are from memory, open to everybody; what they show is not.

Only names that the package holds are answered, so no path can lead elsewhere. The policy lets the page run its own
scripts only and talk to nobody but this server (Content Security Policy level 3).
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

from fastapi import FastAPI, HTTPException, Request, Response

__all__ = ["add_page"]

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",  # asked about each time, answered 304: a new version shows at once
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class _File:
    data: bytes
    packed: bytes
    media_type: str
    etag: str


def add_page(app: FastAPI) -> None:
    """The page at `/`, its files under `/static/`. Neither needs a key, and neither is part of the API."""

    @app.get("/", include_in_schema=False)
    def index(request: Request) -> Response:
        return _answer(request, "index.html")

    @app.get("/docs", include_in_schema=False)
    def docs(request: Request) -> Response:
        """Swagger UI sets styles of its own."""
        answer = _answer(request, "swagger/index.html")
        answer.headers["Content-Security-Policy"] = _HEADERS["Content-Security-Policy"].replace(
            "style-src 'self'", "style-src 'self' 'unsafe-inline'"
        )
        return answer

    @app.get("/static/{name:path}", include_in_schema=False)
    def static(request: Request, name: str) -> Response:
        return _answer(request, name)


def _answer(request: Request, name: str) -> Response:
    if name not in _names():
        raise HTTPException(404, f"the page has no file {name[:100]!r}")
    file = _file(name)
    headers = {**_HEADERS, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.packed, media_type=file.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(file.data, media_type=file.media_type, headers=headers)


@cache
def _names() -> Mapping[str, Traversable]:
    """Every file there is to serve."""
    return dict(_walk(files("carelane.api") / "static", PurePosixPath()))


def _walk(folder: Traversable, place: PurePosixPath) -> Iterator[tuple[str, Traversable]]:
    for item in folder.iterdir():
        name = place / item.name
        if item.is_dir():
            yield from _walk(item, name)
        elif name.suffix in _TYPES:
            yield str(name), item


@cache
def _file(name: str) -> _File:
    """Read and packed when it is first asked for; as many are kept as there are names."""
    data = _names()[name].read_bytes()
    etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    return _File(data, gzip.compress(data, 6, mtime=0), _TYPES[PurePosixPath(name).suffix], etag)
