"""Schemathesis against a real server: our OpenAPI document and the CAMARA project's own files.

No server error, no answer that is not documented. A minute in all here; `make fuzz` takes ten (CARELANE_FUZZ_SECONDS).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SECONDS = float(os.environ.get("CARELANE_FUZZ_SECONDS", "56"))
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,ignored_auth"
)
CAMARA = Path(__file__).parent / "camara"


@pytest.mark.timeout(SECONDS + 240)
@pytest.mark.parametrize(
    ("share", "document", "base"),
    [
        (0.5, "/openapi.json", ""),
        (0.3, "quality-on-demand.yaml", "/quality-on-demand/v1"),
        (0.2, "qos-profiles.yaml", "/qos-profiles/v1"),
    ],
    ids=["rest", "quality-on-demand", "qos-profiles"],
)
def test_no_input_leads_to_an_error_or_an_undocumented_answer(
    start_server: Any, tmp_path: Path, share: float, document: str, base: str
) -> None:
    server = start_server(env={"CARELANE_RATE_PER_S": "100000", "CARELANE_RATE_BURST": "100000"})
    schema = server.url + document if document.startswith("/") else str(CAMARA / document)
    ran = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            schema,
            f"--url={server.url}{base}",
            f"--header=Authorization: Bearer {server.key}",
            f"--max-time={SECONDS * share:.0f}",
            f"--checks={CHECKS}",
            "--phases=examples,coverage,fuzzing,stateful",
            # An open stream never ends, and a revoked key would end the run.
            "--exclude-path-regex=^/v1/(events|keys/.*)$",
            "--generation-allow-x00=false",
            "--request-timeout=20",
            "--suppress-health-check=all",
            "--warnings=off",
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS * share + 200,
        env={name: value for name, value in os.environ.items() if not name.startswith("CARELANE_")},
    )
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
    assert "Traceback" not in (server.folder / "log").read_text(), "nothing unexpected in the log either"
