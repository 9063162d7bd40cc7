"""Record `api/rest/examples.json`: what operations of REST are sent and answer, on the contract's example network.

    .venv/bin/python scripts/openapi_examples.py

Lists are cut to two items, so that the document stays readable; a test holds every example against its schema.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from fastapi.testclient import TestClient

from carelane.api.auth import Authenticator, Buckets, KeyRing, Role
from carelane.api.camara.vault import Vault
from carelane.api.rest import create_app
from carelane.controller.runner import Controller
from carelane.controller.southbound.simulator import Simulator
from carelane.topology import parse_topology

TARGET = Path(__file__).parents[1] / "api" / "rest" / "examples.json"
TOPOLOGY = """\
apiVersion: carelane/v1
kind: Topology
metadata: {name: example}
spec:
  nodes:
    - {id: county, kind: switch, availability: 0.99999}
    - {id: city, kind: switch, availability: 0.99999}
    - {id: province, kind: switch, availability: 0.99999}
  links:
    - {id: l1, a: county, b: city, capacity: 1Gbps, length: 200km, availability: 0.9997, riskGroups: [duct-7]}
    - {id: l2, a: city, b: province, capacity: 1Gbps, length: 300km, availability: 0.9997}
    - {id: l3, a: county, b: province, capacity: 1Gbps, length: 700km, availability: 0.9997}
  endpoints:
    - {id: county/or-1, node: county, address: 10.1.0.11/32, capacity: 1Gbps}
    - {id: province/console-3, node: province, address: 10.1.0.13/32, capacity: 1Gbps}
"""
SURGERY = {
    "apiVersion": "carelane/v1",
    "kind": "ServiceIntent",
    "metadata": {"name": "or1-surgery", "tenant": "county-hospital"},
    "spec": {
        "service": "remote-surgery",
        "from": ["county/or-1"],
        "to": ["province/console-3"],
        "objectives": {"delay": "20ms", "availability": "99.99%", "bandwidth": "40Mbps", "loss": "none"},
    },
}
PROBE = {
    "slice": "or1-surgery", "source": "county/or-1", "target": "province/console-3", "sent": 100, "received": 100,
    "delay_min_s": 0.0026, "delay_max_s": 0.0031, "jitter_s": 0.0001, "round_trip_min_s": 0.0052,
}  # fmt: skip
IMPOSSIBLE = json.loads(json.dumps(SURGERY).replace("20ms", "2ms").replace("or1-surgery", "or1-fast"))


def steps() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Operation, method, address and what is sent."""
    ours = "/v1/intents/or1-surgery"
    yield "POST /v1/plans", "POST", "/v1/plans", {"json": IMPOSSIBLE}
    yield "POST /v1/intents", "POST", "/v1/intents", {"json": SURGERY}
    yield "POST /v1/diff", "POST", "/v1/diff", {"json": IMPOSSIBLE | {"spec": SURGERY["spec"]}}
    for path in ("intents", "topology", "topology/check", "capacity", "access", "controllers", "catalogue",
                 "verification", "drains", "compliance", "consultations", "whoami", "keys", "audit"):  # fmt: skip
        yield f"GET /v1/{path}", "GET", f"/v1/{path}", {}
    yield "GET /v1/intents/{name}", "GET", ours, {}
    yield "GET /v1/intents/{name}/history", "GET", f"{ours}/history", {}
    yield "GET /v1/intents/{name}/compliance", "GET", f"{ours}/compliance", {}
    yield "GET /v1/plans/{name}", "GET", "/v1/plans/or1-surgery", {}
    yield "POST /v1/what-if", "POST", "/v1/what-if", {"json": {"failed": ["l1"], "upgrades": {"l3": "10Gbps"}}}
    yield "POST /v1/probes", "POST", "/v1/probes", {"json": PROBE}
    yield "POST /v1/drains/{target}", "POST", "/v1/drains/l3", {"json": {}}
    yield "DELETE /v1/drains/{target}", "DELETE", "/v1/drains/l3", {}
    yield "POST /v1/reoptimise", "POST", "/v1/reoptimise", {"json": {}}
    patch = {"spec": {"objectives": {"bandwidth": "60Mbps"}}}
    merge = {"content-type": "application/merge-patch+json"}
    yield "PATCH /v1/intents/{name}", "PATCH", ours, {"content": json.dumps(patch), "headers": merge}
    yield "POST /v1/keys", "POST", "/v1/keys", {"json": {"label": "PACS of the county", "role": "viewer"}}
    for path in ("/healthz", "/readyz", "/leaderz"):
        yield f"GET {path}", "GET", path, {}
    yield "DELETE /v1/intents/{name}", "DELETE", ours, {}


def record(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for operation, method, address, sent in steps():
        if operation == "GET /v1/compliance":
            time.sleep(3)  # two epochs of the loop
        answer = client.request(method, address, **sent)
        answer.raise_for_status()
        found[operation] = {"answer": short(answer.json()), "request": sent.get("json") or None}
    client.post("/v1/intents", json=IMPOSSIBLE).raise_for_status()
    answer = client.post("/v1/intents/or1-fast/offers/0")
    answer.raise_for_status()
    found["POST /v1/intents/{name}/offers/{index}"] = {"answer": short(answer.json())}
    made = found["POST /v1/keys"]["answer"]
    found["DELETE /v1/keys/{key_id}"] = {"answer": client.delete(f"/v1/keys/{made['id']}").json()}
    made["key"] = f"carelane_{made['id']}_..."
    return found


def short(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: short(item) for key, item in list(value.items())[: 2 if len(value) > 40 else None]}
    return [short(item) for item in value[:2]] if isinstance(value, list) else value


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/carelane.db"
        with Controller(parse_topology(TOPOLOGY), url, Simulator, address="http://127.0.0.1:8642") as controller:
            ring = KeyRing(controller.service.store, hasher=PasswordHasher(1, 1024, 1))
            key = ring.create(label="first", role=Role.ADMIN)[1]
            vault = Vault(Path(folder) / "seal.key")
            app = create_app(controller.service, Authenticator(ring, None, Buckets(1e6, 10**6)), vault=vault)
            client = TestClient(app, base_url="http://127.0.0.1", headers={"authorization": f"Bearer {key}"})
            TARGET.write_text(json.dumps(record(client), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
