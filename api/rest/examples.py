"""Examples in the OpenAPI document: what each operation answered when `scripts/openapi_examples.py` asked it."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from fastapi import FastAPI

__all__ = ["illustrate"]

_PROBLEM = {
    "type": "urn:carelane:problem:input",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": "request body:8: spec.from: unknown endpoint 'county/or-9'",
    "message": "unknown endpoint 'county/or-9'",
    "line": 8,
    "field": "spec.from",
    "expected": "one of county/or-1, province/console-3",
}
_TEXTS = {
    "text/event-stream": 'id: 17\nevent: intent\ndata: {"id": 17, "at": "2026-11-26T07:08:47.312Z", '
    '"name": "or1-surgery", "tenant": "county-hospital", "phase_from": "Installing", "phase_to": "Active", '
    '"reason": "InstalledAndVerified", "message": ""}\n\n',
    "text/plain": '# TYPE carelane_intents gauge\ncarelane_intents{phase="Active"} 1.0\n',
    "application/openmetrics-text": '# TYPE carelane_intents gauge\ncarelane_intents{phase="Active"} 1.0\n# EOF\n',
}


def illustrate(app: FastAPI) -> None:
    """Have the document of `app` show an example of every answer."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _add(make())
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _add(document: dict[str, Any]) -> None:
    recorded = json.loads(resources.files("carelane.api.rest").joinpath("examples.json").read_text(encoding="utf-8"))
    for path, item in document["paths"].items():
        for method, operation in item.items():
            name = f"{method.upper()} {path}"
            for content in operation.get("requestBody", {}).get("content", {}).values():
                if "example" not in content and "examples" not in content:
                    content["example"] = recorded[name]["request"]
            for status, response in operation["responses"].items():
                for kind, content in response.get("content", {}).items():
                    if kind in _TEXTS:
                        content["example"] = _TEXTS[kind]
                    elif status.startswith("2"):
                        content["example"] = recorded[name]["answer"]
                    else:
                        content["example"] = _PROBLEM
