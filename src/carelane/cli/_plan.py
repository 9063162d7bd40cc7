"""`carelane plan`: decide without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from carelane.cli._decisions import print_plan
from carelane.cli._exit import Exit
from carelane.cli._output import Format, emit
from carelane.cli._progress import shown_progress
from carelane.cli._sources import Filed
from carelane.controller.pipeline import plan, plan_json, resolve
from carelane.controller.pipeline.progress import Progress, silent
from carelane.controller.pipeline.requirement import Requirement
from carelane.errors import InputError
from carelane.topology import Topology

if TYPE_CHECKING:
    from carelane.policies.admission import AdmissionPolicy

__all__ = ["decide", "requirements_of", "resolved", "run_plan", "under_policy"]


def run_plan(
    topology: Topology,
    intents: Sequence[Filed],
    *,
    optimize: bool,
    policy_file: str | None,
    progress: bool | None = None,
    output: Format,
) -> Exit:
    """Decide, print, and say by exit code whether all are admitted. Raises InputError."""
    topology, policy = under_policy(topology, policy_file)
    with shown_progress(progress) as told:
        document = decide(topology, intents, optimize=optimize, policy=policy, progress=told)
    emit(document, output, lambda: print_plan(document))
    admitted = all(decision["decision"] == "admitted" for decision in document["decisions"])
    return Exit.DONE if admitted else Exit.REFUSED


def under_policy(topology: Topology, policy_file: str | None) -> tuple[Topology, AdmissionPolicy | None]:
    """The network as far as the policy lets it be reserved, and the policy. Raises InputError, placed in its file."""
    if policy_file is None:
        return topology, None
    from carelane.policies.admission import bounded, read_policy

    policy = read_policy(policy_file, topology)
    return bounded(topology, policy), policy


def decide(
    topology: Topology,
    intents: Sequence[Filed],
    *,
    optimize: bool,
    policy: AdmissionPolicy | None = None,
    progress: Progress = silent,
) -> Mapping[str, Any]:
    """The contract's plan JSON. Raises InputError, placed in the file that the intent came from.

    Remedies are proven where each refusal stood in the file. Where slices were displaced meanwhile there are none.
    """
    result = plan(topology, requirements_of(intents, topology), optimize=optimize, policy=policy, progress=progress)
    displacing = any(decision.preempts for decision in result.decisions)
    if not displacing and not all(decision.admitted for decision in result.decisions):
        from carelane.controller.pipeline.remedies import remedied

        result = remedied(topology, result, together=optimize, progress=progress)
    return plan_json(topology, result)


def requirements_of(intents: Sequence[Filed], topology: Topology) -> list[Requirement]:
    """Intents resolved. Raises InputError, placed in the file that the intent came from."""
    return [resolved(filed, topology) for filed in intents]


def resolved(filed: Filed, topology: Topology) -> Requirement:
    """Raises InputError, placed in the file that the intent came from."""
    try:
        return resolve(filed.intent, topology)
    except InputError as error:
        if filed.file is None:
            raise
        from carelane.api.placing import placed

        raise placed(error, filed.intent.name, filed.data, filed.file) from error
