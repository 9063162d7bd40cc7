"""`carelane key`: API keys of a running server."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carelane.api.auth import KeyRing
from carelane.cli._admin import local_user
from carelane.cli._client import Client
from carelane.cli._exit import Exit, tell
from carelane.cli._output import Format, emit, emit_rows, emit_text
from carelane.errors import ForbiddenError, InputError
from carelane.key_files import key_file
from carelane.settings import load_settings
from carelane.store import Store
from carelane.store.backup import revision

__all__ = ["run_key_create", "run_key_list", "run_key_recover", "run_key_revoke"]

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


def run_key_recover(database: str | None, *, revoke_admins: bool) -> Exit:
    """Raises InputError (no store there), ForbiddenError (a store of somebody else's), StoreUnavailable."""
    settings = load_settings({"database": database})
    if revision(settings.database) is None:
        raise InputError(
            "there is no store of carelane's here", settings.database.partition("@")[2] or settings.database,
            field="--database", remedy="name the database that the server uses; its first start makes a key by itself",
        )  # fmt: skip
    _check_owner(settings.database)
    file = key_file(settings.key_file, settings.database)
    store = Store(settings.database)
    try:
        key = KeyRing(store).recover(file, subject=local_user(), revoke_admins=revoke_admins)
    finally:
        store.close()
    tell(f"wrote admin key {key.id} to {file}; the command line finds it there by itself")
    tell("make keys for people with `carelane key create`, then revoke this one and remove the file")
    return Exit.DONE


def _check_owner(database: str) -> None:
    """Of SQLite, the file's owner and root; of PostgreSQL, whoever the database lets in."""
    scheme, _, path = database.partition(":///")
    if scheme.startswith("sqlite") and os.geteuid() not in (0, Path(path).stat().st_uid):
        raise ForbiddenError(f"{path} belongs to another account; run this as that account, or as root")


def run_rotate_seal(database: str | None, *, drop_old: bool) -> Exit:
    """Raises InputError when the file of keys cannot be used."""
    from carelane.api.camara.vault import Vault
    from carelane.key_files import seal_file
    from carelane.settings import load_settings

    settings = load_settings({"database": database})
    file = seal_file(settings.seal_file, settings.database)
    if drop_old:
        tell(f"{Vault(file).drop_old()} older keys are gone from {file}")
        return Exit.DONE
    tell(f"key {Vault(file).rotate()} in {file} seals from now on")
    tell("the server seals what it holds anew within a minute; then run `carelane key rotate-seal --drop-old`")
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


def run_key_revoke(url: str | None, key_id: str, *, output: Format) -> Exit:
    key = Client.at(url).delete("v1", "keys", key_id)
    emit(key, output, lambda: tell(f"key {key['id']} ({_whose(key)}) is revoked"))
    return Exit.DONE


def _whose(key: Row) -> str:
    return f"{key['role']} of {key['tenant']}" if key["tenant"] else str(key["role"])
