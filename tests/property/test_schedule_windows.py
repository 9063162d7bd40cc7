"""Capacity by time: the ledger and the planner against a look at every single moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.controller.pipeline import plan, resolve
from carelane.controller.pipeline.requirement import Requirement
from carelane.controller.pipeline.schedules import us_of
from carelane.intents import OFF, Schedule, ServiceIntent, StatedObjectives
from carelane.topology import CapacityLedger, parse_topology
from carelane.topology.ledger import PortKey
from carelane.topology.windows import ALWAYS, NOTHING, Profile, Window

MOMENTS = range(-1, 11)
"""Windows begin and end at 0 to 9; these are all the moments that can differ, and one beyond each end."""

edges = st.integers(0, 9)
windows = st.one_of(
    st.just(ALWAYS),
    edges.map(lambda at: Window(at, None)),
    edges.map(lambda at: Window(None, at)),
    st.tuples(edges, edges).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: Window(*pair)),
)
rates = st.integers(1, 60)
PORT, OTHER = ("a", "l"), ("b", "l")


@given(st.lists(st.tuples(windows, rates), max_size=8), windows)
def test_a_profile_is_what_is_held_at_each_moment(held: list[tuple[Window, int]], asked: Window) -> None:
    profile = NOTHING
    for window, rate in held:
        profile = profile.plus(window, rate)
    level = {at: sum(rate for window, rate in held if window.contains(at)) for at in MOMENTS}
    assert {at: profile.at(at) for at in MOMENTS} == level
    assert profile.peak(asked) == max(level[at] for at in MOMENTS if asked.contains(at))
    for piece, height in profile.pieces(asked):
        assert {level[at] for at in MOMENTS if piece.contains(at)} <= {height}
    assert [at for at in MOMENTS if any(piece.contains(at) for piece, _ in profile.pieces(asked))] == [
        at for at in MOMENTS if asked.contains(at)
    ]
    for window, rate in held:
        profile = profile.plus(window, -rate)
    assert profile == Profile()


@given(windows, windows)
def test_windows_meet_where_they_share_a_moment(one: Window, other: Window) -> None:
    assert one.meets(other) == any(one.contains(at) and other.contains(at) for at in MOMENTS)


Step = tuple[str, Window | None, int, bool]
steps = st.lists(
    st.tuples(st.sampled_from("pqrs"), st.none() | windows, st.integers(0, 60), st.booleans()), max_size=12
)


@given(steps, windows | st.none(), st.sampled_from("pqrst"))
@settings(deadline=None)
def test_a_ledger_reserves_the_most_that_is_held_at_any_moment(
    changes: list[Step], asked: Window | None, name: str
) -> None:
    ledger = CapacityLedger()
    held: dict[str, dict[int, int]] = {}
    for slice_, window, rate, also in changes:
        floors = [(PORT, rate), (OTHER, 2 * rate)] if rate else []
        mine = {at: rate if (window or ALWAYS).contains(at) else 0 for at in MOMENTS}
        if also:
            ledger = ledger.with_also(slice_, floors, window)
            before = held.get(slice_, dict.fromkeys(MOMENTS, 0))
            held[slice_] = {at: max(before[at], mine[at]) for at in MOMENTS}
        else:
            ledger, held[slice_] = ledger.with_slice(slice_, floors, window), mine
    total = {at: sum(own[at] for own in held.values()) for at in MOMENTS}
    assert ledger.reserved_bps(PORT) == max(total.values(), default=0)
    assert ledger.reserved_bps(OTHER) == 2 * ledger.reserved_bps(PORT)
    assert ledger.names == {slice_ for slice_, own in held.items() if any(own.values())}
    for slice_, own in held.items():
        assert ledger.slice_floors(slice_).get(PORT, 0) == max(own.values())
    seen = ledger.seen_by(name, asked)
    others = {at: total[at] - held.get(name, {}).get(at, 0) for at in MOMENTS if (asked or ALWAYS).contains(at)}
    assert seen.reserved_bps(PORT) == max(others.values())
    assert dict(ledger.changes(seen)).get(PORT, ledger.reserved_bps(PORT)) == seen.reserved_bps(PORT)
    for slice_ in held:
        ledger = ledger.without_slice(slice_)
    assert ledger == CapacityLedger()
    assert ledger.moments() == []


SITES = range(8)
NET = parse_topology(
    "apiVersion: carelane/v1\nkind: Topology\nmetadata: {name: pair}\nspec:\n  nodes:\n    - {id: a, kind: switch}\n"
    "    - {id: b, kind: switch}\n  links:\n    - {id: l, a: a, b: b, capacity: 100Mbps, length: 1km}\n  endpoints:\n"
    + "".join(f"    - {{id: {n}/{k}, node: {n}, capacity: 1Gbps}}\n" for n in "ab" for k in SITES)
)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def scheduled(number: int, window: Window, mbps: int) -> Requirement:
    """A slice over the only link; an hour stands for each unit of the window."""
    start, end = (
        None if at is None else (NOON + timedelta(hours=at)).isoformat() for at in (window.opens_us, window.closes_us)
    )
    off = StatedObjectives(OFF, OFF, OFF, OFF, mbps * 10**6, mbps * 10**6)
    schedule = None if window == ALWAYS else Schedule(start, end)
    name = f"s{number}"
    wanted = ServiceIntent(name, "t", "remote-consultation", (f"a/{number}",), (f"b/{number}",), off, schedule=schedule)
    return resolve(wanted, NET)


@given(st.lists(st.tuples(windows, rates), min_size=1, max_size=len(SITES)), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_slice_is_admitted_exactly_when_every_moment_of_its_window_has_room(
    asked: list[tuple[Window, int]], optimize: bool
) -> None:
    requirements = [scheduled(number, window, mbps) for number, (window, mbps) in enumerate(asked)]
    result = plan(NET, requirements, optimize=optimize)
    load = dict.fromkeys(MOMENTS, 0)
    for decision, (window, mbps) in zip(result.decisions, asked, strict=True):
        inside = [at for at in MOMENTS if window.contains(at)]
        if not optimize:
            assert decision.admitted == all(load[at] + mbps <= 100 for at in inside)
        if not optimize and not decision.admitted:
            moved = [offer.schedule for offer in decision.offers if offer.relaxed == "schedule"]
            assert [hours_moved(schedule, window) for schedule in moved] == nearest_move(load, window, mbps)
        if decision.admitted:
            load |= {at: load[at] + mbps for at in inside}
    assert max(load.values()) <= 100
    for decision, (window, mbps) in zip(result.decisions, asked, strict=True):
        if not decision.admitted:  # nor would it fit at the end: a batch leaves no room unused
            assert any(load[at] + mbps > 100 for at in MOMENTS if window.contains(at))
            assert [reason.constraint for reason in decision.reasons] == ["bandwidth"]
    if result.totals.prices_at:
        bound = certified(result.totals.prices_at, requirements)
        asked_bps = sum(item.forward_bps for item in requirements)
        assert abs(result.totals.upper_bound_bps - min(bound, asked_bps)) <= 2
    best = most_of_all(asked)
    assert result.totals.admitted_bps <= best * 10**6 <= result.totals.upper_bound_bps
    assert {us_of(NOON + timedelta(hours=at)) for at in MOMENTS} >= set(result.ledger.moments())


def hours_moved(schedule: Schedule | None, window: Window) -> int:
    """By how much an offered schedule is later than the window asked for, all its times alike."""
    assert schedule is not None
    assert schedule.start is not None
    at = [None if text is None else us_of(datetime.fromisoformat(text)) for text in (schedule.start, schedule.end)]
    shifts = {
        (new - us_of(NOON)) / 3_600_000_000 - old
        for new, old in zip(at, (window.opens_us, window.closes_us), strict=True)
        if new is not None and old is not None
    }
    (shift,) = shifts
    assert shift == int(shift)
    return int(shift)


def nearest_move(load: dict[int, int], window: Window, mbps: int) -> list[int]:
    """The least number of hours by which the window can be moved to where there is room, by trying all of them."""
    if window.opens_us is None:
        return []
    for shift in sorted(range(-30, 31), key=lambda hours: (abs(hours), hours < 0)):
        moved = Window(window.opens_us + shift, None if window.closes_us is None else window.closes_us + shift)
        levels = {load[min(max(at, MOMENTS[0]), MOMENTS[-1])] for at in range(-50, 51) if moved.contains(at)}
        if max(levels) + mbps <= 100:
            return [shift]
    return []


def certified(prices: Mapping[int, Mapping[PortKey, float]], requirements: list[Requirement]) -> float:
    """Weak duality with a price per port and moment, worked out once more: the only way meets six ports."""
    rent = 0.0
    for at_moment in prices.values():
        assert all(price > 0 for price in at_moment.values())
        rent += sum(price * (1e8 if port == "l" else 1e9) for (_, port), price in at_moment.items())
    left = 0.0
    for number, item in enumerate(requirements):
        a, b = f"a/{number}", f"b/{number}"
        ports = [("", a), ("a", "l"), ("b", b), ("", b), ("b", "l"), ("a", a)]
        paid = [at_moment for at, at_moment in prices.items() if (item.window or ALWAYS).contains(at)]
        left += max(0.0, item.forward_bps * (1 - sum(at_moment.get(port, 0.0) for at_moment in paid for port in ports)))
    return rent + left


def most_of_all(asked: list[tuple[Window, int]]) -> int:
    """The most bandwidth that any choice of slices can have, by trying every choice."""
    best = 0
    for choice in range(1 << len(asked)):
        chosen = [item for place, item in enumerate(asked) if choice >> place & 1]
        peak = max(sum(mbps for window, mbps in chosen if window.contains(at)) for at in MOMENTS)
        if peak <= 100:
            best = max(best, sum(mbps for _, mbps in chosen))
    return best
