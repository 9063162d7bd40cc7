"""The closed loop over real packets: a burst shared fairly, through the death of the controller, surgery untouched."""

from __future__ import annotations

from lab_needs import NEEDS_LAB, skip_without_delay

from carelane.lab.scenario import ScenarioContext
from carelane.lab.scenarios.consultation import SURGERY, Script, Speech
from carelane.lab.scenarios.sharing import SharingScenario

pytestmark = NEEDS_LAB


def test_a_burst_is_shared_and_a_controller_killed_in_it_costs_surgery_nothing() -> None:
    skip_without_delay()
    scenario = SharingScenario(
        "short",
        "six stations burst; the controller dies in the middle",
        Script(13.0, 6, tuple(Speech(n, 4.0, 13.0, 2_000_000) for n in range(1, 7))),
        changes_s=(4.0,),
        equal=tuple(range(1, 7)),
        steady_s=(11.0, 13.0),
        modes=("carelane",),
        stations=6,
        kill_s=7.0,
    )
    said: list[str] = []
    report = scenario.run(ScenarioContext(None, seed=1, say=said.append))
    assert any("controller back" in line for line in said)
    run = report.runs["carelane"]
    for flow in SURGERY:
        assert len(set(run.flows[flow].sequence.tolist())) == run.flows[flow].attempted, "no packet of the surgery"
    ours = report.figures["regimes"]["carelane"]
    # How soon it is depends on how busy the machine is, and no test may; that it is shared does not.
    assert ours["goodput_of_oracle"] >= 0.9
    assert ours["jain_equal_sites"] >= 0.98
