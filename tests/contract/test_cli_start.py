"""Starting up: little is imported, and whatever is wrong ends in a message and the right exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from carelane import __version__

HEAVY = ("alembic", "fastapi", "lark", "matplotlib", "networkx", "numpy", "os_ken", "ovs", "pydantic", "rich", "scapy",
         "sqlalchemy", "structlog", "uvicorn", "yaml")  # fmt: skip
Cli = Any


def imported(*arguments: str) -> set[str]:
    """The top-level packages that a run of `carelane` imports."""
    code = (
        "import sys\nfrom carelane.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as end:\n"
        "    assert end.code in (0, 1, None), end.code\n"
        "print('\\nMODULES', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("MODULES")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    assert not imported(*arguments).intersection(HEAVY)


@pytest.mark.parametrize("arguments", [["version"], ["plan", "--help"], ["up", "--help"]])
def test_options_cost_typers_own_validation_and_nothing_else(arguments: list[str]) -> None:
    assert not imported(*arguments).intersection(HEAVY) - {"pydantic"}


def test_a_small_plan_imports_no_server_and_no_graph_library(topology_file: Path, intent_file: Path) -> None:
    loaded = imported("plan", "-t", str(topology_file), "-f", str(intent_file), "-o", "json")
    assert not loaded.intersection(HEAVY) - {"pydantic", "yaml", "numpy"}, "numpy: the path search works on its arrays"


def test_version(cli: Cli) -> None:
    assert cli("--version").out == cli("version").out == f"carelane {__version__}\n"


def test_every_command_explains_itself(call: Cli) -> None:
    overview = call("--help").out
    for command in ("up", "plan", "apply", "diff", "get", "describe", "delete", "lab", "topology", "version",
                    "schema", "catalogue", "bound", "availability", "class-queues", "port-waits",
                    "shared-backups"):  # fmt: skip
        assert command in overview
        assert call(command, "--help").code == 0


@pytest.mark.parametrize(
    "arguments",
    [["no-such-command"], ["plan"], ["plan", "-t"], ["topology"], ["plan", "-t", "cernet", "-o", "xml"], ["describe"]],
)
def test_wrong_usage_is_bad_input(call: Cli, arguments: list[str]) -> None:
    ran = call(*arguments)
    assert ran.code == 2
    assert ran.out == "" or arguments == ["topology"]


def test_catalogue_names_the_source_of_every_default(call: Cli) -> None:
    services = json.loads(call("catalogue", "-o", "json").out)["services"]
    assert {"remote-surgery", "remote-consultation", "imaging-transfer"} <= {service["name"] for service in services}
    for service in services:
        assert all(default["source"] for default in service["defaults"].values()), service["name"]
    table = call("catalogue").out
    assert "远程手术" in table
    assert "20 ms" in table


def test_schema_accepts_the_example_intent(call: Cli, intent_text: str) -> None:
    import jsonschema
    import yaml

    schema = json.loads(call("schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(intent_text), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(intent_text.replace("service:", "servce:")), schema)


def test_an_unexpected_exception_is_a_message_and_exit_70(cli: Cli, tmp_path: Path) -> None:
    """A broken installation is the one defect that can be had at will: its catalogue module fails to import."""
    (tmp_path / "yaml.py").write_text("raise RuntimeError('broken on purpose')\n", encoding="utf-8")
    import os

    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    ran = cli("catalogue", env={"PYTHONPATH": path})
    assert ran.code == 70
    assert "RuntimeError: broken on purpose" in ran.err
    assert "--debug" in ran.err


def test_debug_shows_the_traceback(topology_file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "carelane", "topology", "show", "-t", "nowhere.yaml", "--debug"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_a_closed_pipe_is_no_fault(topology_file: Path) -> None:
    command = f"{sys.executable} -m carelane catalogue | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr
