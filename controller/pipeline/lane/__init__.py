"""The fast lane: single paths on flat arrays under link prices, equal to `admit` in what they promise."""

from __future__ import annotations

from carelane.controller.pipeline.lane._embedding import along, embed
from carelane.controller.pipeline.lane._kernels import Jobs, Numbers, State
from carelane.controller.pipeline.lane._network import STEEPNESS, LaneGraph

__all__ = ["STEEPNESS", "Jobs", "LaneGraph", "Numbers", "State", "along", "embed"]
