"""What can go wrong in the lab itself, apart from a broken promise (which is a result, not an error)."""

from __future__ import annotations

from carelane.errors import PermanentError

__all__ = ["LabError"]


class LabError(PermanentError):
    """The lab could not be set up or did not do what it was told; the message says what to do about it."""
