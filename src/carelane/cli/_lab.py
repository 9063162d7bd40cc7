"""`carelane lab`: hands over to carelane.lab, which is heavy and needs root."""

from __future__ import annotations
