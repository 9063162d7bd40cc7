"""What `deploy/` says, as far as it can be checked without the machines it is for."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from carelane.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def pins(lock: Path) -> dict[str, str]:
    return dict(
        re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_what_is_deployed_is_what_was_tested() -> None:
    deployed, tested = pins(DEPLOY / "requirements.lock"), pins(ROOT / "requirements.lock")
    assert {"fastapi", "os-ken", "numba", "psycopg"} <= deployed.keys()
    assert deployed.items() <= tested.items()
    assert not {"pytest", "playwright", "ruff", "ray"} & deployed.keys()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_are_valid_and_locked_down(unit: Path, tmp_path: Path) -> None:
    here = tmp_path / unit.name
    # The program is not installed at its place on this machine; everything else is as it is.
    here.write_text(unit.read_text(encoding="utf-8").replace("/opt/carelane/.venv/bin/carelane", "/bin/true"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(here)], capture_output=True, text=True, check=False
    )
    said = [line for line in checked.stderr.splitlines() if unit.name in line]
    assert said == []
    secure = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", str(here)]
    done = subprocess.run(secure, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:]


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return document


def test_compose_opens_nothing_but_openflow_beyond_the_machine() -> None:
    document = compose()
    open_ports = [port for service in document["services"].values() for port in service.get("ports", ())]
    assert [port for port in open_ports if not port.startswith("127.0.0.1:")] == ["6653:6653"]
    assert document["networks"]["store"] == {"internal": True}
    carelane = document["services"]["carelane"]
    assert carelane["read_only"]
    assert carelane["cap_drop"] == ["ALL"]
    assert "/healthz" in carelane["healthcheck"]["test"][-1]
    for name, service in document["services"].items():
        assert "privileged" not in service, name
        assert not re.search(r":latest$|^[^:]+$", service.get("image", "x:1")), "versions are named"
        secrets = [key for key in service.get("environment", {}) if re.search("PASSWORD|SECRET|KEY", key)]
        assert all(key.endswith(("_FILE", "__FILE")) for key in secrets), name


def test_compose_mounts_and_secrets_are_files_of_ours() -> None:
    document = compose()
    for service in document["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (DEPLOY / source).exists(), source
            else:
                assert source in document["volumes"]
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "deploy/secrets/" in ignored
    assert all(secret["file"].startswith("./secrets/") for secret in document["secrets"].values())


def test_every_variable_is_a_setting() -> None:
    texts = [(DEPLOY / "systemd" / "carelane.env.example").read_text(encoding="utf-8")]
    texts += [unit.read_text(encoding="utf-8") for unit in UNITS]
    texts += [f"{name}=" for name in compose()["services"]["carelane"]["environment"]]
    texts.append((DEPLOY / "Containerfile").read_text(encoding="utf-8"))
    used = {name.lower() for text in texts for name in re.findall(r"CARELANE_([A-Z_]+)=", text)}
    assert used
    assert used <= Settings.model_fields.keys()


def test_the_image_runs_as_nobody_special_and_copies_what_exists() -> None:
    lines = (DEPLOY / "Containerfile").read_text(encoding="utf-8").splitlines()
    assert "USER 10001" in lines
    assert lines.index("USER 10001") < next(n for n, line in enumerate(lines) if line.startswith("ENTRYPOINT"))
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            assert (ROOT / line.split()[1]).exists(), line
    ignored = (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()
    assert {".git", ".venv", ".carelane"} <= set(ignored)


def test_every_alert_has_its_runbook() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "carelane-rules.yml").read_text(encoding="utf-8"))
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    text = (ROOT / "docs" / "runbooks" / "alerts.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (\S+)$", text, re.MULTILINE)
    assert sections == alerts
    for rule in (rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule):
        [section] = re.findall(rf"^## {rule['alert']}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        assert section.startswith(f"*{rule['labels']['severity'].capitalize()}.*"), rule["alert"]
