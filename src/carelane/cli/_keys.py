"""`carelane key`: API keys of a running server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from carelane.cli._client import Client
from carelane.cli._exit import Exit, tell
from carelane.cli._output import Format, emit, emit_rows, emit_text

__all__ = ["run_key_create", "run_key_list", "run_key_revoke"]

Row = Mapping[str, Any]


def run_key_create(
    url: str | None, label: str, *, role: str, tenant: str | None, expires: str | None, output: Format
) -> Exit:
    """The key alone on stdout, so that it can be piped into a file."""
    wanted = {"label": label, "role": role, "tenant": tenant, "expires_at": expires}
    body = json.dumps({name: value for name, value in wanted.items() if value is not None}).encode()
    made = Client.at(url).post("v1", "keys", body=body, media_type="application/json")
    emit(made, output, lambda: emit_text(made["key"]))
    tell(f"key {made['id']} ({_whose(made)}): this is the only time its text is shown")
    return Exit.DONE


def run_key_list(url: str | None, *, output: Format) -> Exit:
    answer = Client.at(url).get("v1", "keys")
    emit(
        answer,
        output,
        lambda: emit_rows(
            ("ID", "LABEL", "ROLE", "TENANT", "CREATED", "EXPIRES", "REVOKED"),
            (
                (
                    key["id"],
                    key["label"],
                    key["role"],
                    key["tenant"] or "-",
                    key["created_at"],
                    key["expires_at"] or "-",
                    key["revoked_at"] or "-",
                )
                for key in answer["keys"]
            ),
        ),
    )
    return Exit.DONE


def run_key_revoke(url: str | None, key_id: str) -> Exit:
    key = Client.at(url).delete("v1", "keys", key_id)
    tell(f"key {key['id']} ({_whose(key)}) is revoked")
    return Exit.DONE


def _whose(key: Row) -> str:
    return f"{key['role']} of {key['tenant']}" if key["tenant"] else str(key["role"])
