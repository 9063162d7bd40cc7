"""The pure stages: resolve, plan, compile, diff.

Names are loaded when first used: the stages pull in parsers and numbers that most commands do not need. No module
here is called like a name that is exported, because importing it would hide the name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carelane.controller.pipeline.planner import plan
    from carelane.controller.pipeline.present import decision_json, plan_json
    from carelane.controller.pipeline.resolver import resolve

__all__ = ["decision_json", "plan", "plan_json", "resolve"]

_HOMES = {"decision_json": "present", "plan": "planner", "plan_json": "present", "resolve": "resolver"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"carelane.controller.pipeline.{_HOMES[name]}"), name)
