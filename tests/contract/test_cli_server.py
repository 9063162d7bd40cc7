"""`carelane up` and the commands that talk to it, all as processes."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

Cli = Any
Server = Any


@pytest.fixture
def at(server: Server, call: Cli) -> Iterator[Cli]:
    """Runs a command against the module's server, which holds nothing afterwards."""

    def run(command: str, *arguments: str) -> Any:
        return call(command, *arguments, "--url", server.url)

    yield run
    for row in json.loads(run("get", "-o", "json").out)["intents"]:
        assert run("delete", row["name"]).code == 0


def test_apply_waits_until_the_slice_is_installed(at: Cli, intent_file: Path) -> None:
    ran = at("apply", "-f", str(intent_file))
    assert ran.code == 0
    assert "or1-surgery: Active" in ran.err
    table = at("get").out
    assert "or1-surgery" in table
    assert "Active" in table
    assert json.loads(at("get", "or1-surgery", "-o", "json").out)["phase"] == "Active"
    assert at("diff").out == "nothing would change\n"
    text = at("describe", "or1-surgery").out
    for part in ("or1-surgery: Active", "county-hospital", "DECISION", "primary", "county city province",
                 "ON THE SWITCHES", "cookie 0xca9e", "labels 16", "meters 16", "county", "CONDITIONS", "HISTORY",
                 "service: remote-surgery"):  # fmt: skip
        assert part in text, part
    deleted = at("delete", "or1-surgery")
    assert deleted.code == 0
    assert "Withdrawn" in deleted.err
    assert at("get").out == "no intents\n"


def test_a_refusal_is_exit_3_with_reason_and_offer(at: Cli, intent_file: Path, intent_text: str) -> None:
    intent_file.write_text(intent_text.replace("40Mbps", "2Gbps").replace("or1-", "refused-"), encoding="utf-8")
    ran = at("apply", "-f", str(intent_file))
    assert ran.code == 3
    assert "refused: bandwidth" in ran.out
    assert "would be accepted" in ran.out
    assert "Refused" in at("get", "refused-surgery").out
    at("delete", "refused-surgery")


def test_a_dry_run_prints_the_plan_and_files_nothing(at: Cli, intent_file: Path) -> None:
    ran = at("apply", "--dry-run", "-f", str(intent_file), "-o", "json")
    assert ran.code == 0
    assert json.loads(ran.out)["decisions"][0]["decision"] == "admitted"
    assert at("get").out == "no intents\n"


def test_diff_shows_what_filing_would_send(at: Cli, intent_file: Path) -> None:
    ran = at("diff", "-f", str(intent_file))
    assert ran.code == 1
    assert "county (dpid 0000000000000001)" in ran.out
    assert "push_mpls:0x8847" in ran.out
    operations = json.loads(at("diff", "-f", str(intent_file), "-o", "json").out)["operations"]
    assert f"{operations} operations" in ran.out


def test_a_line_can_be_filed_without_waiting(at: Cli) -> None:
    line = "远程手术 county/or-1 → province/console-3：20 毫秒，99.9%"
    ran = at("apply", line, "--name", "line", "--no-wait", "-o", "json")
    assert ran.code == 0
    (row,) = json.loads(ran.out)["intents"]
    assert (row["name"], row["outcome"], row["decision"]["decision"]) == ("line", "created", "admitted")
    assert at("delete", "line").code == 0


def test_the_servers_errors_are_placed_in_the_users_files(at: Cli, intent_text: str, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("\ufeff" + intent_text, encoding="utf-8")
    second = intent_text.replace("or1-", "or2-")
    bad.write_text(second + "---\n" + second.replace("or2-", "or3-").replace("[county/or-1]", "[county/or-9]"))
    ran = at("apply", "-f", str(good), "-f", str(bad))
    assert ran.code == 2
    line = bad.read_text().count("\n", 0, bad.read_text().index("or-9")) + 1
    assert f"{bad}:{line}: spec.from: unknown endpoint" in ran.err
    assert "expected:" in ran.err
    assert at("get").out == "no intents\n"


@pytest.mark.parametrize("command", [["get", "nobody"], ["describe", "nobody"], ["delete", "nobody"]])
def test_a_name_that_does_not_exist_is_bad_input(at: Cli, command: list[str]) -> None:
    ran = at(*command)
    assert ran.code == 2
    assert "nobody" in ran.err


def test_without_a_server_the_way_out_is_told(cli: Cli, intent_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    for arguments in (["get"], ["apply", "-f", str(intent_file)], ["describe", "x"], ["delete", "x"], ["diff"]):
        ran = cli(*arguments, env={"CARELANE_URL": url, "http_proxy": "http://127.0.0.1:9"})
        assert ran.code == 69
        assert "carelane up" in ran.err
        assert url in ran.err


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:80", "http://", "http://x:99999", "file:///etc/passwd"])
def test_a_bad_address_is_bad_input(call: Cli, url: str) -> None:
    ran = call("get", "--url", url)
    assert ran.code == 2
    assert "--url" in ran.err


def test_something_else_on_the_port_is_recognised(call: Cli) -> None:
    import http.server
    import threading

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path.endswith("intents") else 500)
            self.end_headers()
            self.wfile.write(b"<html>not carelane</html>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        for arguments in (["get"], ["get", "x"]):
            ran = call(*arguments, "--url", f"http://127.0.0.1:{other.server_port}")
            assert ran.code == 2
            assert "is it a carelane server?" in ran.err
        other.shutdown()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_a_restart_keeps_every_intent(
    start_server: Any, intent_text: str, number: signal.Signals
) -> None:
    first = start_server()
    headers = {"content-type": "application/yaml", **first.headers}
    httpx.post(f"{first.url}/v1/intents", content=intent_text, headers=headers, trust_env=False).raise_for_status()
    assert first.stop(number) == 0
    second = start_server(folder=first.folder)
    (row,) = httpx.get(f"{second.url}/v1/intents", headers=second.headers, trust_env=False).json()["intents"]
    assert row["name"] == "or1-surgery"
    assert second.stop(number) == 0
    assert "SIMULATED" in (first.folder / "log").read_text()


def test_a_signal_during_the_start_ends_it_cleanly(start_server: Any, tmp_path: Path) -> None:
    """The ready line has not come yet; the process still ends by itself, with exit 0."""
    import subprocess
    import sys
    import time

    process = subprocess.Popen(
        [sys.executable, "-m", "carelane", "up", "-t", "zhoushan", "--simulate", "--rest-port", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stderr is not None
    with process:
        for line in process.stderr:
            if "SIMULATED" in line:
                break
        time.sleep(0.05)
        process.terminate()
        rest = process.stderr.read()
        assert process.wait(30) == 0
    assert "carelane: stopped" in rest
    assert "Traceback" not in rest


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--topology"),
        (["-t", "nowhere.yaml"], "nowhere.yaml"),
        (["-t", "gaotai", "--rest-host", "0.0.0.0"], "--insecure-http"),
        (["-t", "gaotai", "--rest-host", "::"], "--insecure-http"),
        (["-t", "gaotai", "--rest-host", "example.org"], "--insecure-http"),
        (["-t", "gaotai", "--rest-port", "99999"], "--rest-port"),
        (["-t", "gaotai", "--log-level", "loud"], "--log-level"),
    ],
)
def test_up_refuses_what_it_must_not_or_cannot_do(call: Cli, arguments: list[str], says: str) -> None:
    ran = call("up", "--simulate", *arguments)
    assert ran.code == 2
    assert says in ran.err


@pytest.mark.parametrize(
    ("url", "says"), [("nonsense", "not a database URL"), ("sqlite:////proc/nowhere/x.db", "/proc/nowhere")]
)
def test_a_database_that_cannot_be_is_told(cli: Cli, tmp_path: Path, url: str, says: str) -> None:
    ran = cli("up", "--simulate", "-t", "gaotai", "--rest-port", "0", "--database", url, cwd=tmp_path)
    assert ran.code == 2
    assert says in ran.err
    assert "carelane ready" not in ran.out


@pytest.mark.parametrize("option", ["--rest-port", "--openflow-port"])
def test_a_taken_port_is_told(cli: Cli, tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ports = {"--rest-port": "0", "--openflow-port": "0", option: port}
        ran = cli("up", "-t", "gaotai", *(word for pair in ports.items() for word in pair), cwd=tmp_path)
    assert ran.code == 2
    assert f"port {port}: Address already in use" in ran.err


def test_beyond_this_machine_only_on_purpose_and_never_by_name(start_server: Any) -> None:
    server = start_server("--rest-host", "0.0.0.0", "--insecure-http", "--allowed-host", "carelane.example")
    port = server.url.rpartition(":")[2]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=server.headers, trust_env=False) as client:
        for host, status in (("192.0.2.7", 200), ("carelane.example", 200), ("rebound.example", 421)):
            assert client.get("/v1/intents", headers={"host": host}).status_code == status
