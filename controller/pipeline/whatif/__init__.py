"""What-if: the plan stage on a copy of the network. Nothing is stored, nothing is sent.

Input: a `Baseline` (network, decisions and ledger as they are) and a `Question`. Output: an `Answer`: a fate for every
promise, decisions on what is added, and the network it would be. A `sweep` asks about every single failure.
"""

from __future__ import annotations

from carelane.controller.pipeline.whatif._ask import Answer, Baseline, Question, added, ask, baseline
from carelane.controller.pipeline.whatif._present import answer_json, sweep_json
from carelane.controller.pipeline.whatif._sweep import Struck, sweep
from carelane.controller.pipeline.whatif._workers import Processes, RayCluster, Workers

__all__ = [
    "Answer",
    "Baseline",
    "Processes",
    "Question",
    "RayCluster",
    "Struck",
    "Workers",
    "added",
    "answer_json",
    "ask",
    "baseline",
    "sweep",
    "sweep_json",
]
