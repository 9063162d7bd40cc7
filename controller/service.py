"""The one door of REST, gRPC and the command line to carelane: thread-safe, typed, without a web framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from carelane.controller.pipeline.changes import SwitchChanges
from carelane.controller.views import ApplyResult, Health, IntentDetail, IntentSummary, LinkMismatch, SwitchView
from carelane.intents.model import ServiceIntent
from carelane.topology.model import Topology

__all__ = ["IntentService"]


class IntentService:
    """INTERFACE (being implemented): every method is thread-safe; errors come from `carelane.errors`."""

    topology: Topology

    def apply(self, intents: Sequence[ServiceIntent]) -> tuple[ApplyResult, ...]:
        """File intents, all or nothing for bad input (InputError); refusals are results."""
        raise NotImplementedError

    def plan(self, intents: Sequence[ServiceIntent], *, optimize: bool = False) -> Mapping[str, Any]:
        """Dry run against what is admitted now; the contract's plan JSON. Stores nothing."""
        raise NotImplementedError

    def diff(self, intents: Sequence[ServiceIntent] = ()) -> tuple[SwitchChanges, ...]:
        """What `apply` would send to each switch (without intents: what a repair would send). Sends nothing."""
        raise NotImplementedError

    def list(self, *, tenant: str | None = None, withdrawn: bool = False) -> tuple[IntentSummary, ...]:
        raise NotImplementedError

    def describe(self, name: str) -> IntentDetail:
        """Raises NotFoundError."""
        raise NotImplementedError

    def delete(self, name: str) -> IntentSummary:
        """Withdraw; idempotent while withdrawing. Raises NotFoundError."""
        raise NotImplementedError

    def wait(self, names: Sequence[str], timeout_s: float) -> tuple[IntentSummary, ...]:
        """Until every name is settled (Active, Degraded, Refused, Failed, Withdrawn) or time is up."""
        raise NotImplementedError

    def switches(self) -> tuple[SwitchView, ...]:
        raise NotImplementedError

    def link_mismatches(self) -> tuple[LinkMismatch, ...]:
        """Discovery against the declared topology; ports that are down are not mismatches."""
        raise NotImplementedError

    def health(self) -> Health:
        raise NotImplementedError
