"""What every promise of the planner rests on, said in the decision itself."""

from __future__ import annotations

from carelane.controller.pipeline.admit import Embedding
from carelane.controller.pipeline.requirement import Requirement
from carelane.topology.delay import FRAME_BYTES
from carelane.topology.paths import PathGraph

__all__ = ["model_assumptions"]


def model_assumptions(graph: PathGraph, requirement: Requirement, embedding: Embedding | None) -> list[str]:
    """The assumptions of the delay, loss and availability models that this decision used."""
    objectives = requirement.objectives
    said = [
        f"per port: reserved rate R, latency L/R + Lmax/C (RFC 2212 guaranteed rate; L {requirement.max_packet_bytes} "
        f"bytes, Lmax {FRAME_BYTES} bytes, C the port's capacity); HTB as such a server is a calibrated model",
        "rates, bursts and packets count whole layer 2 frames, the 4-byte path label included",
    ]
    if objectives.loss is not None:
        said.append(_loss(graph, embedding))
    if objectives.availability is not None:
        said.append(
            "availability: failures independent but for shared nodes and risk groups; switch-over time not counted"
        )
    if (
        embedding is not None
        and requirement.protection == "required"
        and not all(row.role or row.route.links for row in embedding.rows)
    ):
        said.append("protection: both ends are on one switch, where there is no path to protect")
    return said


def _loss(graph: PathGraph, embedding: Embedding | None) -> str:
    links = {link for row in embedding.rows for link in row.route.links} if embedding else set()
    silent = sorted(link for link in links if graph.topology.links[link].loss is None)
    if embedding is not None and not silent:
        return "loss: none by congestion (queues hold the bound), so the links' stated losses are all there is"
    which = "links state none" if len(silent) in (0, len(links)) else f"{', '.join(silent)} state none"
    return f"loss: covers congestion loss only, where links state no loss of their own ({which})"
