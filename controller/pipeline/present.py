"""Present: decisions as the JSON of the contract, figures rounded against us, the same input giving the same bytes.

Input: `Decision` or `PlanResult`. Output: plain dicts and lists, keys in a fixed order. Beyond the contract's keys:
`from`, `reverse_mbps` and `round_trip_bound_ms` of a path; `detail` of a reason; `relaxed`, `jitter_ms`, `loss`,
`reverse_mbps`, `round_trip`, `protection`, `reserved_mbps` (the largest floor it would take) and, where the intent has
one, `schedule` (as a manifest states it) of an offer; `speakers` and `shared` (ports that more sites use than may
speak) of a consultation with a ceiling; `remedies` and `remedies_searched` of a refusal; `others` of a reason, for
those who may see other tenants' names; `backups`, `shares_with` and `shares_with_of` of a slice whose backup shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from carelane.controller.pipeline.rounding import PROMISED_DIGITS, floor_availability, mbps, ms_up
from carelane.controller.pipeline.schedules import as_text
from carelane.controller.pipeline.slice_plan import Decision, Offer, PlannedPath, PlanResult, Reason, Remedy, Totals
from carelane.controller.pipeline.speakers import shared_ports
from carelane.intents.manifest import schedule_manifest
from carelane.topology.ledger import PortKey
from carelane.topology.model import Topology

__all__ = ["certificate_json", "decision_json", "plan_json", "reason_json", "totals_json"]


def plan_json(topology: Topology, result: PlanResult) -> dict[str, Any]:
    """The output of `carelane plan -o json`; a batch has a `certificate`, the prices that prove its upper bound."""
    document: dict[str, Any] = {
        "topology": topology.name,
        "decisions": [decision_json(item, result.ledger.sharing_with(item.name)) for item in result.decisions],
        "totals": totals_json(result.totals),
    }
    if result.totals.prices or result.totals.prices_at:
        document["certificate"] = certificate_json(result.totals)
    return document


def certificate_json(totals: Totals) -> dict[str, Any]:
    """Prices per bit/s of ports: `node` is empty for an endpoint's own sending side, `port` a link or an endpoint.

    In a batch with schedules each price is that `at` a moment, and a slice pays at every moment in its window.
    """
    rows = [_price(port, price) for port, price in sorted(totals.prices.items())]
    for moment, prices in sorted(totals.prices_at.items()):
        rows += [{**_price(port, price), "at": as_text(moment)} for port, price in sorted(prices.items())]
    return {"prices": rows}


def _price(port: PortKey, price: float) -> dict[str, Any]:
    return {"node": port[0], "port": port[1], "price": price}


def decision_json(decision: Decision, beside: Sequence[tuple[str, str]] | None = None) -> dict[str, Any]:
    """One decision; `beside` are the slices with whom it shares its backup, with their tenants, if that is known."""
    availability = decision.availability
    row: dict[str, Any] = {
        "name": decision.name,
        "decision": "admitted" if decision.admitted else "refused",
        "availability": None if availability is None else floor_availability(availability, PROMISED_DIGITS),
        "paths": [_path(path) for path in decision.paths],
        "reasons": [reason_json(reason) for reason in decision.reasons],
        "offers": [_offer(offer) for offer in decision.offers],
        "assumptions": list(decision.assumptions),
        "proven": decision.proven,
    }
    if decision.admitted and decision.backups == "shared":
        row["backups"] = "shared"
    if "backups" in row and beside is not None:
        row["shares_with"] = [name for name, _ in beside]
        row["shares_with_of"] = [tenant for _, tenant in beside]
    if decision.preempts:
        row["preempts"] = [name for name, _ in decision.preempts]
        row["preempts_of"] = [tenant for _, tenant in decision.preempts]
    if decision.requirement.speakers is not None:
        row["speakers"] = decision.requirement.speakers
        row["shared"] = [
            {"node": port.node, "link": port.link, "sites": port.sites, "reserved_mbps": mbps(port.reserved_bps)}
            for port in shared_ports(decision)
        ]
    if not decision.admitted:
        row["remedies"] = [_remedy(remedy) for remedy in decision.remedies]
        row["remedies_searched"] = decision.remedies_searched
    return row


def totals_json(totals: Totals) -> dict[str, Any]:
    """Totals in Mbit/s."""
    return {
        "offered_mbps": mbps(totals.offered_bps),
        "admitted_mbps": mbps(totals.admitted_bps),
        "upper_bound_mbps": mbps(totals.upper_bound_bps),
        "gap": totals.gap,
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else ms_up(seconds)


def _path(path: PlannedPath) -> dict[str, Any]:
    row: dict[str, Any] = {
        "role": path.role,
        "nodes": list(path.nodes),
        "links": [hop.link for hop in path.hops],
        "from": path.source,
        "to": path.to,
        "reserved_mbps": mbps(path.reserved_bps),
        "reverse_mbps": mbps(path.reverse_bps),
        "delay_bound_ms": _ms(path.delay_bound_s),
        "propagation_ms": _ms(path.propagation_s),
        "jitter_bound_ms": _ms(path.jitter_bound_s),
    }
    if path.round_trip_bound_s is not None:
        row["round_trip_bound_ms"] = _ms(path.round_trip_bound_s)
    return row


def reason_json(reason: Reason) -> dict[str, Any]:
    """One reason of a refusal."""
    row: dict[str, Any] = {
        "constraint": reason.constraint,
        "at": reason.at,
        "required": reason.required,
        "available": reason.available,
        "unit": reason.unit,
        "detail": reason.detail,
    }
    if reason.others:
        row["others"] = list(reason.others)
    return row


def _remedy(remedy: Remedy) -> dict[str, Any]:
    if remedy.kind == "remove-intent":
        return {"kind": remedy.kind, "name": remedy.name, "tenant": remedy.tenant}
    what = "link" if remedy.kind == "upgrade-link" else "endpoint"
    return {
        "kind": remedy.kind,
        what: remedy.name,
        "from_mbps": mbps(remedy.from_bps),
        "to_mbps": mbps(remedy.to_bps),
    }


def _offer(offer: Offer) -> dict[str, Any]:
    row: dict[str, Any] = {
        "relaxed": offer.relaxed,
        "delay_ms": _ms(offer.delay_s),
        "availability": offer.availability,
        "bandwidth_mbps": mbps(offer.bandwidth_bps),
        "reverse_mbps": mbps(offer.reverse_bps),
        "jitter_ms": _ms(offer.jitter_s),
        "loss": offer.loss,
        "round_trip": offer.round_trip,
        "protection": offer.protection,
        "reserved_mbps": mbps(offer.reserved_bps),
    }
    if offer.schedule is not None:
        row["schedule"] = schedule_manifest(offer.schedule)
    return row
