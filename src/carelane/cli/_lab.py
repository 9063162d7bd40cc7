"""`carelane lab`: hands over to carelane.lab, which is heavy and needs root."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from carelane.cli._exit import Exit, tell
from carelane.cli._output import emit_rows

__all__ = ["Substrate", "list_scenarios", "open_shell", "run_scenario"]

Substrate = Literal["auto", "host", "lab-kernel", "userspace"]


def run_scenario(name: str, report: Path, substrate: Substrate, seed: int) -> Exit:
    """Exit 1 when a promise was broken. Raises NotFoundError, LabError."""
    from carelane.lab.scenario import run

    return Exit(run(name, report, None if substrate == "auto" else substrate, seed, tell))


def list_scenarios() -> Exit:
    """Names with one line each."""
    from carelane.lab.scenario import names

    emit_rows(("SCENARIO", "WHAT IT SHOWS"), names().items())
    return Exit.DONE


def open_shell(substrate: Substrate) -> Exit:
    """A small network with plain forwarding, and a prompt in it. Raises LabError."""
    from carelane.cli._lab_shell import LabShell
    from carelane.lab.lab import Lab
    from carelane.lab.plain import plain_flows
    from carelane.lab.scenarios.kernel_check import NETWORK

    with Lab.open(None if substrate == "auto" else substrate, tell) as lab:
        lab.build(NETWORK, controller=False)
        for switch, flows in plain_flows(NETWORK).items():
            lab.add_flows(switch, flows)
        LabShell(lab, NETWORK).cmdloop()
    return Exit.DONE
