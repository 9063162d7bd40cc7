"""Decisions as text and back, exactly: what was promised before a restart is what is promised after it."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from carelane.controller.pipeline.slice_plan import Decision
from carelane.errors import PermanentError

__all__ = ["decode_decision", "encode_decision"]

_DECISION = TypeAdapter(Decision)


def encode_decision(decision: Decision) -> str:
    """JSON of every field. Raises PermanentError for a value that would not come back equal (such as infinity)."""
    text = _DECISION.dump_json(decision, warnings=False).decode()
    if decode_decision(text) != decision:
        raise PermanentError(f"the decision on {decision.name} cannot be stored without loss; this is a defect")
    return text


def decode_decision(text: str) -> Decision:
    """The decision that `encode_decision` was given. Raises PermanentError for any other text."""
    try:
        return _DECISION.validate_json(text, extra="forbid")
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise PermanentError(
            f"a stored decision cannot be read ({place}: {fault['msg']}); "
            "run the version of carelane that wrote it, or withdraw and file the intent again"
        ) from error
