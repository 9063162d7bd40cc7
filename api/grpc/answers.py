"""From the product's values to messages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from carelane.api.grpc.gen import carelane_pb2 as pb
from carelane.api.present import plain
from carelane.api.rest.measured import finite, seen_site
from carelane.controller.telemetry.compliance import IntentCompliance
from carelane.controller.telemetry.sharing import Observation
from carelane.controller.views import ConditionView, IntentSummary
from carelane.store import StoredEvent

__all__ = ["applied", "compliance", "condition", "site", "step", "struct", "summary"]


def struct(value: Mapping[str, Any] | None) -> Struct:
    return ParseDict(finite(plain(value or {})), Struct())


def moment(at: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(at)
    return made


def applied(row: Mapping[str, Any]) -> pb.AppliedIntent:
    """A row of REST's answer to a filing."""
    return pb.AppliedIntent(
        name=row["name"],
        outcome=f"OUTCOME_{row['outcome'].upper()}",
        generation=row["generation"],
        phase=row["phase"],
        admitted=row["admitted"],
        decision=struct(row["decision"]),
    )


def summary(item: IntentSummary) -> pb.IntentSummary:
    return pb.IntentSummary(
        name=item.name,
        tenant=item.tenant,
        service=item.service,
        generation=item.generation,
        observed_generation=item.observed_generation,
        phase=item.phase,
        reason=item.reason,
        message=item.message,
        created_at=moment(item.created_at),
        updated_at=moment(item.updated_at),
    )


def condition(item: ConditionView) -> pb.Condition:
    return pb.Condition(
        type=item.type, status=item.status, reason=item.reason, message=item.message, since=moment(item.since)
    )


def step(event: StoredEvent) -> pb.WatchIntentsResponse:
    return pb.WatchIntentsResponse(
        id=event.id,
        at=moment(event.at),
        name=event.name,
        tenant=event.tenant,
        phase_from=event.phase_from or "",
        phase_to=event.phase_to,
        reason=event.reason,
        message=event.message,
    )


def site(item: Observation) -> pb.SiteTraffic:
    made: pb.SiteTraffic = ParseDict(seen_site(item), pb.SiteTraffic())
    return made


def compliance(name: str, found: IntentCompliance | None) -> pb.IntentCompliance:
    """None: nothing is measured, so nothing is known."""
    if found is None:
        return pb.IntentCompliance(name=name, state=pb.COMPLIANCE_STATE_UNKNOWN)
    made = pb.IntentCompliance(name=name, state=_state(found.state))
    for row in found.objectives:
        item = made.objectives.add(
            objective=row.objective, state=_state(row.state), promised=row.promised, unit=row.unit, samples=row.samples
        )
        if row.measured is not None:
            item.measured = row.measured
    if found.budget_left is not None:
        made.budget_left = found.budget_left
    return made


def _state(state: str) -> Any:
    return pb.ComplianceState.Value(f"COMPLIANCE_STATE_{state.upper()}")
