"""`carelane plan`: decide without a server."""

from __future__ import annotations

from collections.abc import Sequence

from carelane.cli._decisions import print_plan
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit
from carelane.controller.pipeline import plan, resolve
from carelane.controller.pipeline.present import plan_json
from carelane.intents import ServiceIntent
from carelane.topology import Topology

__all__ = ["run_plan"]


def run_plan(topology: Topology, intents: Sequence[ServiceIntent], *, optimize: bool, output: Format) -> Exit:
    """Decide, print, and say by exit code whether all are admitted. Raises InputError."""
    requirements = [resolve(intent, topology) for intent in intents]
    result = plan(topology, requirements, optimize=optimize)
    document = plan_json(topology, result)
    emit(document, output, lambda: print_plan(document))
    return Exit.DONE if all(decision.admitted for decision in result.decisions) else Exit.REFUSED
