"""Settings come from options first and the environment second; logs are one JSON object a line, all libraries'."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from carelane.errors import InputError
from carelane.logs import configure_logs
from carelane.settings import load_settings


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("CARELANE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """A stream for logs; what logging was before is put back."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    levels = {name: logging.getLogger(name).level for name in ("os_ken", "ovsdbapp", "alembic", "ovs")}
    yield io.StringIO()
    root.handlers[:], root.level = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARELANE_REST_PORT", "9000")
    monkeypatch.setenv("CARELANE_OPENFLOW_PORT", "6700")
    settings = load_settings({"rest_port": 9001, "openflow_port": None})
    assert (settings.rest_port, settings.openflow_port) == (9001, 6700)
    assert settings.rest_host == "127.0.0.1"


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARELANE_REST_PORT", "many")
    with pytest.raises(InputError) as caught:
        load_settings({})
    assert caught.value.field == "CARELANE_REST_PORT"
    assert "'many'" in caught.value.message


def test_a_bad_option_is_named() -> None:
    with pytest.raises(InputError) as caught:
        load_settings({"log_level": "loud"})
    assert caught.value.field == "--log-level"


def test_every_library_logs_to_the_same_json_lines(logs: io.StringIO) -> None:
    configure_logs("info", "json", logs)
    structlog.get_logger("carelane.test").info("slice installed", intent="or1-surgery")
    logging.getLogger("uvicorn.error").warning("slow %s", "client")
    logging.getLogger("os_ken.base").info("chatter that nobody wants")
    try:
        raise ValueError("手术")
    except ValueError:
        structlog.get_logger("carelane.test").exception("failed")
    installed, slow, failed = (json.loads(line) for line in logs.getvalue().splitlines())
    assert (installed["event"], installed["intent"], installed["level"]) == ("slice installed", "or1-surgery", "info")
    assert installed["timestamp"].endswith("Z")
    assert (slow["event"], slow["logger"]) == ("slow client", "uvicorn.error")
    assert failed["exception"][0]["exc_value"] == "手术"


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_tells_where_and_not_what_variables_held(logs: io.StringIO, form: str) -> None:
    def check(key: str) -> None:
        raise ValueError(f"a key of {len(key)} characters does not fit")

    configure_logs("info", form, logs)  # type: ignore[arg-type]
    try:
        check("carelane_" + "secret")
    except ValueError:
        structlog.get_logger("carelane.test").exception("failed")
    assert "a key of 15 characters" in logs.getvalue()
    assert "carelane_secret" not in logs.getvalue()


def test_debug_lets_the_libraries_speak(logs: io.StringIO) -> None:
    configure_logs("debug", "console", logs)
    logging.getLogger("os_ken.base").debug("hello from the library")
    assert "hello from the library" in logs.getvalue()
