"""Scenarios: what `carelane lab run NAME` runs. A scenario opens a lab, does something to it and fills a report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from carelane.errors import NotFoundError
from carelane.lab.lab import Lab
from carelane.lab.report import Report
from carelane.lab.substrate import SubstrateName

__all__ = ["Scenario", "ScenarioContext", "names", "register", "run", "scenario"]


@dataclass(frozen=True, slots=True)
class ScenarioContext:
    """What a scenario is given. `say` prints progress, `report` is to be filled."""

    substrate: SubstrateName | None
    seed: int
    say: Callable[[str], None]

    def open(self) -> Lab:
        """A fresh lab on the chosen substrate; a scenario may open several, one after the other."""
        return Lab.open(self.substrate, self.say)

    def report(self, name: str, lab: Lab) -> Report:
        """An empty report of this run."""
        return Report(scenario=name, substrate=lab.substrate.name, reason=lab.substrate.reason, seed=self.seed)


class Scenario(Protocol):
    """One thing to try. `name` is what the command line calls it, `summary` one line for the list."""

    @property
    def name(self) -> str: ...

    @property
    def summary(self) -> str: ...

    def run(self, context: ScenarioContext) -> Report:
        """Do it and report. Raises `LabError` when the lab itself fails; a broken promise is a result."""
        ...


_registry: dict[str, Scenario] = {}


def register(scenario: Scenario) -> None:
    """Make a scenario known by its name."""
    _registry[scenario.name] = scenario


def names() -> dict[str, str]:
    """Known scenarios: name to summary."""
    _load()
    return {name: known.summary for name, known in sorted(_registry.items())}


def scenario(name: str) -> Scenario:
    """The scenario of that name. Raises `NotFoundError` listing the known ones."""
    _load()
    if name not in _registry:
        raise NotFoundError(f"no scenario {name!r}; there are {', '.join(sorted(_registry))}")
    return _registry[name]


def run(
    name: str,
    report_dir: Path,
    substrate: SubstrateName | None = None,
    seed: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> int:
    """Run a scenario and write its report. Gives the exit status: 0 when every promise held, 1 when one was broken."""
    chosen = scenario(name)
    started = time.monotonic()
    report = chosen.run(ScenarioContext(substrate, seed, say))
    report.duration_s = time.monotonic() - started
    target = report.write(report_dir)
    for line in report.side_by_side():
        say(line)
    for check in report.checks:
        say(f"check: {check.name}: {check.detail}: {'yes' if check.passed else 'NO'}")
    say(f"report: {target}")
    return 0 if report.passed else 1


def _load() -> None:
    # Importing a scenario registers it; done late, so that the engine does not depend on what is built upon it.
    import carelane.lab.scenarios  # noqa: F401
