"""Whether a promise holds now, from the liveness of switches and ports alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from carelane.controller.pipeline.slice_plan import Decision, PlannedPath
from carelane.controller.reconcile.standing import Finding
from carelane.controller.southbound.protocol import SwitchStatus
from carelane.intents.lifecycle import KEPT
from carelane.topology.model import Topology

__all__ = ["judge_promise"]

_WEAKENED = (
    "carried within its delay, jitter, loss and bandwidth, without the availability or protection that was promised; "
    "it has both again as soon as the network has room for that"
)


def judge_promise(
    topology: Topology, decision: Decision, statuses: Mapping[str, SwitchStatus], dead: Collection[str] = ()
) -> Finding:
    """True when every path works, every switch on it is in sight, and it is the whole promise; otherwise the worst that
    was found. `dead` are links that carry nothing, whatever their ports say."""
    faults: dict[tuple[str, str], list[str]] = {}
    sound: set[tuple[str, str]] = set()
    for path in decision.paths:
        pair = (path.source, path.to)
        fault = _fault_of(topology, path, statuses, dead)
        if fault is None:
            sound.add(pair)
        else:
            faults.setdefault(pair, []).append(f"{path.role} path of {path.source} to {path.to}: {fault}")
    broken = [fault for pair, found in faults.items() if pair not in sound for fault in found]
    if broken:
        return Finding(KEPT, "False", "PathsDown", "; ".join(broken))
    if faults:
        exposed = "; ".join(fault for found in faults.values() for fault in found)
        return Finding(KEPT, "False", "Unprotected", f"another path carries the traffic; {exposed}")
    unseen = sorted({node for path in decision.paths for node in path.nodes if not _connected(statuses, node)})
    if unseen:
        reasons = "; ".join(f"{node}: {_why(statuses, node)}" for node in unseen)
        return Finding(KEPT, "Unknown", "SwitchUnreachable", f"rules stay in place but cannot be checked; {reasons}")
    if decision.owed is not None:
        return Finding(KEPT, "False", "Weakened", _WEAKENED)
    return Finding(KEPT, "True", "PathsUp", f"{len(decision.paths)} of {len(decision.paths)} paths work")


def _fault_of(
    topology: Topology, path: PlannedPath, statuses: Mapping[str, SwitchStatus], dead: Collection[str]
) -> str | None:
    for name in (path.source, path.to):
        end = topology.endpoints.get(name)
        if end is not None and (status := statuses.get(end.node)) is not None and not status.has(end.port):
            return f"{end.node} has no port {end.port}, where {name} is"
    for hop in path.hops:
        link = topology.links.get(hop.link)
        if link is None:
            return f"link {hop.link} is no longer declared"
        for node in (hop.node, hop.next_node):
            status, port = statuses.get(node), link.port_at(node)
            if status is not None and not status.carries(port):
                why = f"is down at {node}" if status.has(port) else f"needs port {port} of {node}, which is not there"
                return f"link {hop.link} {why}"
        if hop.link in dead:
            return f"link {hop.link} is silent: its ports are up, and BFD hears nothing"
    return None


def _connected(statuses: Mapping[str, SwitchStatus], node: str) -> bool:
    status = statuses.get(node)
    return status is not None and status.connected


def _why(statuses: Mapping[str, SwitchStatus], node: str) -> str:
    status = statuses.get(node)
    return (status.reason if status else "") or "not connected"
