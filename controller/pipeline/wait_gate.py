"""Port waits as a condition of admission, where policy says so: no promise may rest on others not sending at once.

A slice that was planned is admitted only if its own delay and jitter objectives hold with what its queues wait for
others (`port_waits`), and those of all that share ports with it still do. A refusal is of the paths that were planned:
others might do, so it is not proven.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from carelane.controller.pipeline.class_queues import SharedBound
from carelane.controller.pipeline.port_waits import ports_of, waited_bounds
from carelane.controller.pipeline.slice_plan import Decision, Reason
from carelane.policies.admission import AdmissionPolicy
from carelane.topology.ledger import PortKey
from carelane.topology.model import Topology

__all__ = ["WaitGate"]


class WaitGate:
    """The slices in force, by name, and the refusal of what would break a promise. For one run, in one thread."""

    def __init__(self, topology: Topology, policy: AdmissionPolicy | None, held: Iterable[Decision] = ()) -> None:
        self._topology = topology
        self._open = policy is None or not policy.port_waits
        self._held: dict[str, tuple[Decision, frozenset[PortKey]]] = {}
        for decision in held:
            self.add(decision)

    def add(self, decision: Decision) -> None:
        """It is in force now, instead of what its name was before. What this network has no place for is left out."""
        if not self._open and self._has_place(decision):
            self._held[decision.name] = decision, ports_of(self._topology, decision)

    def _has_place(self, decision: Decision) -> bool:
        links, endpoints = self._topology.links, self._topology.endpoints
        return all(
            path.source in endpoints and path.to in endpoints and all(hop.link in links for hop in path.hops)
            for path in decision.paths
        )

    def remove(self, name: str) -> None:
        self._held.pop(name, None)

    def refusal(self, decision: Decision, gone: Iterable[str] = ()) -> Decision | None:
        """The refusal of an admitted decision whose objectives, or others', would not hold; `gone` go for it."""
        if self._open:
            return None
        others = {name: item for name, item in self._held.items() if name not in {decision.name, *gone}}
        own = ports_of(self._topology, decision)
        touched = {name: ports for name, (_, ports) in others.items() if not ports.isdisjoint(own)}
        around = own.union(*touched.values())
        beside = [item for item, ports in others.values() if not ports.isdisjoint(around)]
        broken = [
            row
            for row in waited_bounds(self._topology, [*beside, decision])
            if not row.keeps and (row.name == decision.name or row.name in touched)
        ]
        return self._refused(decision, broken, others) if broken else None

    def _refused(
        self, decision: Decision, broken: Sequence[SharedBound], others: dict[str, tuple[Decision, frozenset[PortKey]]]
    ) -> Decision:
        tenant = decision.requirement.tenant
        own = next((row for row in broken if row.name == decision.name), None)
        names = tuple(dict.fromkeys(row.name for row in broken if row.name != decision.name))
        strangers = tuple(name for name in names if others[name][0].requirement.tenant != tenant)
        if own is not None:
            found = "there is no bound" if own.delay_s is None else f"its delay is bounded by {_ms(own.delay_s)}"
            detail = f"port waits: with what queues at its ports may send first, {found} from {own.source} to {own.to}"
        else:
            named = [name for name in names if name not in strangers]
            if strangers:
                named.append("a slice of another tenant" if len(strangers) == 1 else "slices of other tenants")
            detail = f"port waits: what it may send first would break the delay of {', '.join(named)}"
        detail += "; ask for less bandwidth or burst, for a longer delay, or at other ends"
        reason = Reason("policy", None, None, None, None, detail, strangers if own is None else ())
        assumed = decision.assumptions
        return Decision(decision.requirement, admitted=False, reasons=(reason,), assumptions=assumed, proven=False)


def _ms(exact_s: Fraction) -> str:
    return f"{float(exact_s) * 1e3:.6g} ms"
