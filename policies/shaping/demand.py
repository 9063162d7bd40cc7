"""What a source wants, from what it sent: fast up, slow down, and unmoved by noise. Pure.

A demand is *held*: it changes only when the samples say so clearly, and everything computed from it stays exactly as
it was in between. Each change adds `margin`, so that noise around a steady rate stays below the held demand.

- Up, at once: when one epoch exceeds it by `jump`, or the mean of `window` epochs exceeds it at all. A jump counts
  twice what the epoch shows, as if it had come in the middle of it; the next epoch sets that right, and the first
  whole window behind it once more, up or down: what backlog added to the step is not wanted for long.
- Down: when for `patience` epochs no window mean came within `slack` of it, to the largest of them; or after `quick`
  epochs below half of it, for then others can use it, and it comes back as fast as it went.

A source that fills the ceiling it was given (or whose queue drops) may want any amount: nobody can see what TCP would
send. Elastic sources then count as wanting everything until they have used less than `content` of their ceiling for
`patience` epochs. Missing samples change nothing; after `patience` of them the demand is unknown (NaN).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = ["DemandPolicy", "HeldDemand", "Sample", "follow"]


@dataclass(frozen=True, slots=True)
class DemandPolicy:
    """Figures of the estimate. `window`, `quick` and `patience` are epochs, the others ratios.

    margin / slack bounds how much more than it uses a steady source is held to want.
    """

    window: int = 4
    quick: int = 2
    patience: int = 20
    margin: float = 1.06
    jump: float = 1.25
    slack: float = 0.95
    half: float = 0.5
    content: float = 0.7
    hungry: float = 0.9


@dataclass(frozen=True, slots=True)
class Sample:
    """One epoch of one source: arrivals, plus backlog and drops per second of the epoch, in bit/s.

    `ceiling_bps` is what it was allowed meanwhile (None: nobody limited it), `dropped` whether its queue had to drop.
    """

    rate_bps: float
    ceiling_bps: float | None = None
    dropped: bool = False


@dataclass(frozen=True, slots=True)
class HeldDemand:
    """The estimate of one source. `bps` is NaN while unknown and infinite while it wants everything.

    `trial` counts the epochs since a jump, until a whole window has shown what it came to; 0: none is judged.
    """

    bps: float = math.nan
    recent: tuple[float, ...] = ()
    peak: float = 0.0
    calm: int = 0
    missed: int = 0
    trial: int = 0

    @property
    def measured_bps(self) -> float:
        """The mean of the last window; NaN before the first sample."""
        return sum(self.recent) / len(self.recent) if self.recent else math.nan

    @property
    def jumped(self) -> bool:
        """It rose in the last epoch, nobody knows yet how far."""
        return self.trial == 1

    def lendable(self, policy: DemandPolicy) -> float:
        """What it wants if the last epoch alone is believed, where that is less than half: to be lent to others that
        lack it. It is a pause perhaps, and then the demand, which is still held, counts again an epoch later."""
        shown = self.recent[-1] * policy.margin if self.recent else math.nan
        return shown if math.isfinite(self.bps) and shown < self.bps * policy.half else self.bps


def follow(
    held: HeldDemand, sample: Sample | None, policy: DemandPolicy, *, elastic: bool, expected_bps: float = 0.0
) -> HeldDemand:
    """The estimate after one more epoch. `expected_bps` is what a schedule announces (a session on the hour)."""
    if sample is None or not (math.isfinite(sample.rate_bps) and sample.rate_bps >= 0):
        missed = held.missed + 1
        return HeldDemand(missed=missed) if missed >= policy.patience else replace(held, missed=missed)
    recent = (*held.recent, sample.rate_bps)[-policy.window :]
    mean = sum(recent) / len(recent)
    if elastic and _starved(sample, policy):
        return HeldDemand(math.inf, recent)
    if math.isinf(held.bps):
        return _appeased(held, recent, mean, sample, policy)
    if held.trial == 1:
        return HeldDemand(max(max(recent[-policy.quick :]) * policy.margin, expected_bps), (sample.rate_bps,), trial=2)
    if sample.rate_bps > held.bps * policy.jump:
        # Where in the epoch the step came is not known: in the middle, say, and the next epoch tells.
        whole = 2 * sample.rate_bps - held.bps
        return HeldDemand(max(whole * policy.margin, expected_bps), recent, trial=1)
    if held.trial:
        return _judged(held, recent, mean, policy, expected_bps)
    raised = max(_raised(held, sample, mean, policy), expected_bps)
    if math.isnan(held.bps) or raised > held.bps:
        return HeldDemand(raised, recent)
    last = max(recent[-policy.quick :])
    if len(recent) >= policy.quick and max(last * policy.margin, expected_bps) < held.bps * policy.half:
        return HeldDemand(max(last * policy.margin, expected_bps), recent[-policy.quick :])
    if mean >= held.bps * policy.slack:
        return HeldDemand(held.bps, recent)
    calm = held.calm + 1
    peak = max(held.peak, mean) if calm >= policy.window else 0.0  # of windows that lie in the calm time altogether
    if calm < policy.patience:
        return HeldDemand(held.bps, recent, peak, calm)
    return HeldDemand(max(peak * policy.margin, expected_bps), recent)


def _starved(sample: Sample, policy: DemandPolicy) -> bool:
    full = sample.ceiling_bps is not None and sample.rate_bps >= policy.hungry * sample.ceiling_bps
    return sample.dropped or full


def _judged(
    held: HeldDemand, recent: tuple[float, ...], mean: float, policy: DemandPolicy, expected_bps: float
) -> HeldDemand:
    """After a jump: the mean of the first whole window behind it corrects what its two epochs showed, once."""
    if held.trial <= policy.window:
        return replace(held, recent=recent, missed=0, trial=held.trial + 1)
    shown = max(mean * policy.margin, expected_bps)
    off = shown > held.bps or shown < held.bps * policy.slack
    return HeldDemand(shown if off else held.bps, recent)


def _appeased(
    held: HeldDemand, recent: Sequence[float], mean: float, sample: Sample, policy: DemandPolicy
) -> HeldDemand:
    content = sample.ceiling_bps is None or sample.rate_bps < policy.content * sample.ceiling_bps
    calm = held.calm + 1 if content else 0
    peak = max(held.peak, mean) if calm >= policy.window else 0.0  # the mean of a window that was calm throughout
    if calm < policy.patience:
        return HeldDemand(math.inf, tuple(recent), peak, calm)
    return HeldDemand(peak * policy.margin, tuple(recent))


def _raised(held: HeldDemand, sample: Sample, mean: float, policy: DemandPolicy) -> float:
    """What the newest samples ask for; no more than the held demand when they are within it."""
    if math.isnan(held.bps):
        return sample.rate_bps * policy.margin
    return mean * policy.margin if mean > held.bps else 0.0
