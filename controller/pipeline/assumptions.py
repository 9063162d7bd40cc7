"""What every promise of the planner rests on, said in the decision itself."""

from __future__ import annotations

from carelane.controller.pipeline.admit import Embedding
from carelane.controller.pipeline.requirement import Requirement
from carelane.topology.availability import SWITCH_OVER_S, switching_unavailability, unprovided_switching
from carelane.topology.delay import FRAME_BYTES
from carelane.topology.paths import PathGraph, Route

__all__ = ["model_assumptions"]

_NAMED = 4


def model_assumptions(graph: PathGraph, requirement: Requirement, embedding: Embedding | None) -> list[str]:
    """The assumptions of the delay, loss and availability models that this decision used."""
    objectives = requirement.objectives
    said = [
        f"per port: reserved rate R, latency L/R + Lmax/C (RFC 2212 guaranteed rate; L {requirement.max_packet_bytes} "
        f"bytes, Lmax {FRAME_BYTES} bytes, C the port's capacity); HTB as such a server is a model, "
        "calibrated by the lab scenario htb-calibration; carelane port-waits adds what other queues may send first",
        "rates, bursts and packets count whole layer 2 frames, the 4-byte path label included",
    ]
    if objectives.loss is not None:
        said.append(_loss(graph, embedding))
    if objectives.availability is not None:
        said.append(
            f"availability: failures independent but for shared nodes and risk groups; {_switching(graph, embedding)}"
        )
    if (
        embedding is not None
        and requirement.protection == "required"
        and not all(row.role or row.route.links for row in embedding.rows)
    ):
        said.append("protection: both ends are on one switch, where there is no path to protect")
    return said


def _switching(graph: PathGraph, embedding: Embedding | None) -> str:
    """Whose switch-over time is in the figure."""
    sets: dict[int, list[Route]] = {}
    for row in embedding.rows if embedding else ():
        sets.setdefault(row.leaf, []).append(row.route)
    protected = [routes for routes in sets.values() if len(routes) > 1]
    silent = sorted({part for routes in protected for part in unprovided_switching(graph.topology, routes)})
    counted = any(switching_unavailability(graph.topology, routes) for routes in protected)
    if not counted:
        return "switch-over time not counted"
    whole = f"{1000 * float(SWITCH_OVER_S):g} ms of switch-over counted for each failure where an MTBF is stated"
    if not silent:
        return whole
    named = ", ".join(f"{kind} {name}" for kind, name in silent[:_NAMED])
    more = f" and {len(silent) - _NAMED} more" if len(silent) > _NAMED else ""
    return f"{whole}, not for {named}{more}"


def _loss(graph: PathGraph, embedding: Embedding | None) -> str:
    links = {link for row in embedding.rows for link in row.route.links} if embedding else set()
    silent = sorted(link for link in links if graph.topology.links[link].loss is None)
    if embedding is not None and not silent:
        return "loss: none by congestion (queues hold the bound), so the links' stated losses are all there is"
    which = "links state none" if len(silent) in (0, len(links)) else f"{', '.join(silent)} state none"
    return f"loss: covers congestion loss only, where links state no loss of their own ({which})"
