"""One pass over some switches: read, compute the difference, carry out the permitted part, read again to be sure."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TypeVar

from carelane.controller.pipeline.changes import Operation, SwitchChanges
from carelane.controller.pipeline.compile import CLASSIFY, CORE
from carelane.controller.pipeline.diff import diff
from carelane.controller.pipeline.program import FlowRule, PortBfd, PortQos, Program
from carelane.controller.reconcile.staging import Keeper, Owner, Owners, Stage, only, only_keeps, staged
from carelane.controller.reconcile.turn import Turn
from carelane.controller.southbound.protocol import Southbound, SwitchState, SwitchStatus
from carelane.errors import CarelaneError, NotLeader, PermanentError, SwitchUnreachable, TransientError
from carelane.tracing import traced

__all__ = ["PassResult", "Programmer", "Scope", "VerificationFailed"]

Result = TypeVar("Result")
_Statuses = Callable[[], Mapping[str, SwitchStatus]]
"""What switches say of their ports, asked at most once in a pass, and only where something of a port would change."""

_SEVERAL = ((Stage.MAKE,), (Stage.STEER,), (Stage.BREAK,))
_ONE_SWITCH = ((Stage.MAKE, Stage.STEER), (Stage.BREAK,))
"""Nothing to wait for elsewhere: what is made and what steers into it go in one bundle, as after a reboot."""


class VerificationFailed(TransientError):
    """A switch confirmed a change, and reading it back shows something else."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a pass may touch, by slice: all switches it is or was on, and those that it `needs` to work.

    While a needed switch is away, packets are not steered into the slice and its old rules stay. A switch that it
    only leaves holds nothing up, so that a slice can move off a dead one.
    """

    nodes: Mapping[str, frozenset[str]]
    needs: Mapping[str, frozenset[str]]
    keepers: frozenset[Keeper] = frozenset({Keeper.PIPELINE, Keeper.PORT})

    def permits(self, owner: Owner) -> bool:
        return owner in self.keepers if isinstance(owner, Keeper) else owner in self.nodes

    def held_back(self, result: PassResult) -> frozenset[str]:
        """Names that need a switch that failed."""
        return frozenset(name for name, nodes in self.needs.items() if not nodes.isdisjoint(result.errors))

    def keeping(self, owners: Owners, result: PassResult) -> frozenset[str]:
        """Names that lose no queue: those that are held back, and those that another pass is to change."""
        return self.held_back(result) | (frozenset(owners.by_number.values()) - self.nodes.keys())

    def switches(self) -> frozenset[str]:
        return frozenset().union(*self.nodes.values())


@dataclass(slots=True)
class PassResult:
    """Errors by switch, what was changed, and the state that was read last."""

    errors: dict[str, CarelaneError] = field(default_factory=dict)
    changed: dict[str, SwitchChanges] = field(default_factory=dict)
    states: dict[str, SwitchState] = field(default_factory=dict)

    def error_of(self, nodes: Collection[str]) -> CarelaneError | None:
        """The error that decides the outcome of something on these switches: a permanent one first."""
        errors = [self.errors[node] for node in sorted(nodes) if node in self.errors]
        return next((error for error in errors if isinstance(error, PermanentError)), errors[0] if errors else None)


class Programmer:
    """Talks to several switches at once, in a `turn`; two passes differ only by what they are given.

    `linger_s` is how long packets may be on their way over a path that a slice leaves: more than any delay bound.
    """

    def __init__(self, southbound: Southbound, turn: Turn, *, parallel: int = 8, linger_s: float = 0.25) -> None:
        self._southbound = southbound
        self._turn = turn
        self._linger_s = linger_s
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="carelane-switch")

    def close(self) -> None:
        self._pool.shutdown()

    @traced("switches.program")
    def run(self, desired: Program, owners: Owners, scope: Scope, switches: Collection[str]) -> PassResult:
        """Make `switches` equal to `desired` as far as `scope` permits. Never raises for what a switch does.

        Raises NotLeader when the term in which the pass began is over: nothing more is sent.
        """
        result = PassResult()
        result.states = self._each(switches, self._southbound.read, result)
        statuses = cache(self._southbound.statuses)
        wanted = {
            node: self._difference(state, desired, owners, scope, statuses) for node, state in result.states.items()
        }
        wanted = {node: changes for node, changes in wanted.items() if changes}
        for stages in _ONE_SWITCH if len(wanted) == 1 else _SEVERAL:
            if Stage.BREAK in stages and _moves(wanted):
                # What was sent by the old rules is still on its way; they go when it has arrived.
                time.sleep(self._linger_s)
            if self._turn.is_over():
                raise NotLeader
            self._carry_out(stages, wanted, owners, scope, result)
        self._verify(wanted, desired, owners, scope, statuses, result)
        return result

    def read(self, switches: Collection[str]) -> Mapping[str, SwitchState]:
        """What those of them hold that can be read now, side by side."""
        return self._each(switches, self._southbound.read, PassResult())

    def _difference(
        self, state: SwitchState, desired: Program, owners: Owners, scope: Scope, statuses: _Statuses
    ) -> SwitchChanges:
        """What a port needs that is not there has to wait for it, and nothing else on the switch has."""
        node = state.own.node
        changes = diff(state.own, desired[node])
        return only(
            changes, lambda item: scope.permits(owners.owner(item)) and not _waits_for_port(item, node, statuses)
        )

    def _carry_out(
        self,
        stages: tuple[Stage, ...],
        wanted: Mapping[str, SwitchChanges],
        owners: Owners,
        scope: Scope,
        result: PassResult,
    ) -> None:
        waits, keeping = scope.held_back(result), scope.keeping(owners, result)

        def part(changes: SwitchChanges) -> SwitchChanges:
            own = result.states[changes.node].own
            taken = [
                staged(changes, at, own, owners, frozenset() if at is Stage.MAKE else waits, keeping) for at in stages
            ]
            return replace(changes, operations=tuple(item for some in taken for item in some.operations))

        sound = {node: part(changes) for node, changes in wanted.items() if node not in result.errors}
        parts = {node: changes for node, changes in sound.items() if changes}
        for node in self._each(parts, lambda node: self._southbound.apply(parts[node]), result):
            before = result.changed.get(node)
            operations = (*(before.operations if before else ()), *parts[node].operations)
            result.changed[node] = SwitchChanges(node, parts[node].dpid, operations)

    def _verify(
        self,
        wanted: Mapping[str, SwitchChanges],
        desired: Program,
        owners: Owners,
        scope: Scope,
        statuses: _Statuses,
        result: PassResult,
    ) -> None:
        held_back, keeping = scope.held_back(result), scope.keeping(owners, result)
        sound = [node for node in wanted if node not in result.errors]
        for node, state in self._each(sound, self._southbound.read, result).items():
            result.states[node] = state

            def due(operation: Operation, state: SwitchState = state) -> bool:
                return owners.owner(operation) not in held_back and not only_keeps(operation, state.own, keeping)

            left = only(self._difference(state, desired, owners, scope, statuses), due)
            if left:
                result.errors[node] = VerificationFailed(
                    f"{node} confirmed the change, and {len(left.operations)} of its entries read back otherwise, "
                    f"first {left.operations[0].verb} {left.operations[0].target}"
                )

    def _each(self, nodes: Collection[str], call: Callable[[str], Result], result: PassResult) -> dict[str, Result]:
        """Call for every switch at once; errors go to the result, answers come back."""
        futures = {node: self._pool.submit(call, node) for node in sorted(nodes)}
        answers: dict[str, Result] = {}
        for node, future in futures.items():
            try:
                answers[node] = future.result()
            except CarelaneError as error:
                result.errors[node] = error
            except OSError as error:
                result.errors[node] = SwitchUnreachable(f"{node}: {error}")
        return answers


def _waits_for_port(operation: Operation, node: str, statuses: _Statuses) -> bool:
    target = operation.target
    if not isinstance(target, (PortQos, PortBfd)):
        return False
    status = statuses().get(node)
    return status is not None and not status.has(target.port)


def _moves(wanted: Mapping[str, SwitchChanges]) -> bool:
    """Whether packets are steered from rules that go to rules that come: a classifier is modified, a label deleted."""
    flows = {
        (item.verb == "delete", item.target.table)
        for changes in wanted.values()
        for item in changes.operations
        if isinstance(item.target, FlowRule)
    }
    return flows >= {(False, CLASSIFY), (True, CORE)}
