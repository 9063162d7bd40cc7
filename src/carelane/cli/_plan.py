"""`carelane plan`: decide without a server."""

from __future__ import annotations

from collections.abc import Sequence

from carelane.cli._decisions import print_plan
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit
from carelane.cli._sources import Filed
from carelane.controller.pipeline import plan, plan_json, resolve
from carelane.controller.pipeline.requirement import Requirement
from carelane.errors import InputError
from carelane.topology import Topology

__all__ = ["run_plan"]


def run_plan(topology: Topology, intents: Sequence[Filed], *, optimize: bool, output: Format) -> Exit:
    """Decide, print, and say by exit code whether all are admitted. Raises InputError."""
    requirements = [_resolved(filed, topology) for filed in intents]
    result = plan(topology, requirements, optimize=optimize)
    document = plan_json(topology, result)
    emit(document, output, lambda: print_plan(document))
    return Exit.DONE if all(decision.admitted for decision in result.decisions) else Exit.REFUSED


def _resolved(filed: Filed, topology: Topology) -> Requirement:
    """Raises InputError, placed in the file that the intent came from."""
    try:
        return resolve(filed.intent, topology)
    except InputError as error:
        if filed.file is None:
            raise
        from carelane.api.placing import placed

        raise placed(error, filed.intent.name, filed.data, filed.file) from error
