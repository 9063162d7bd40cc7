"""The access policy as data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from typing import Literal
from zoneinfo import ZoneInfo

__all__ = ["DAYS", "AccessPolicy", "AccessRule", "Window"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` up to `end` on `days` (0 is Monday) in `zone`; over midnight when `end` is not after `start`, and
    then the day is that of the start."""

    start: time
    end: time
    days: frozenset[int]
    zone: ZoneInfo

    def holds(self, moment: datetime) -> bool:
        local = moment.astimezone(self.zone)
        clock, today = local.time(), local.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= clock < self.end
        yesterday = (today - 1) % 7
        return (today in self.days and clock >= self.start) or (yesterday in self.days and clock < self.end)


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One rule. An empty condition matches everything; patterns are of the shell's kind, on whole names.

    `tenants` own the slice; `devices` and `to` are endpoint ids of the two ends; `sites` and `to_sites` where their
    switches stand; `ports` are ``switch:port`` of the device. `max_rate_bps` bounds either direction.
    """

    name: str
    effect: Literal["allow", "deny"]
    tenants: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    to_sites: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    max_rate_bps: int | None = None
    when: Window | None = None


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """Rules in order: the first that matches decides. Where none does, a tenant may reach its own endpoints and those
    of nobody, and no other."""

    name: str
    rules: tuple[AccessRule, ...] = ()
