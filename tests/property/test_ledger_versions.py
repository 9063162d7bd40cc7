"""The ledger against plain dictionaries: every version keeps what it held, whatever was derived from it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.topology import CapacityLedger
from carelane.topology._persistent import PersistentMap
from carelane.topology.ledger import PortKey

Held = dict[str, dict[PortKey, int]]

ports = st.tuples(st.sampled_from(["", *(f"n{k}" for k in range(9))]), st.sampled_from([f"l{k}" for k in range(9)]))
steps = st.lists(
    st.tuples(
        st.sampled_from([f"s{k}" for k in range(30)]),
        st.one_of(st.none(), st.dictionaries(ports, st.integers(1, 1000), max_size=12)),
        st.floats(0, 1, exclude_max=True),
    ),
    max_size=60,
)


def by_port(held: Held) -> dict[PortKey, dict[str, int]]:
    found: dict[PortKey, dict[str, int]] = {}
    for name, floors in held.items():
        for port, rate in floors.items():
            found.setdefault(port, {})[name] = rate
    return found


@given(steps)
@settings(max_examples=150, deadline=None)
def test_every_version_of_a_ledger_holds_what_it_held(
    changes: list[tuple[str, dict[PortKey, int] | None, float]],
) -> None:
    versions: list[tuple[CapacityLedger, Held]] = [(CapacityLedger(), {})]
    for name, floors, where in changes:
        ledger, held = versions[int(where * len(versions))]  # any version may be continued, not only the last
        rest = {other: mine for other, mine in held.items() if other != name}
        if floors is None:
            versions.append((ledger.without_slice(name), rest))
        else:
            versions.append((ledger.with_slice(name, floors.items()), rest | ({name: floors} if floors else {})))
    for ledger, held in versions:
        expected = by_port(held)
        assert {port: dict(at) for port, at in ledger.floors.items()} == expected
        assert set(ledger.names) == set(held)
        assert dict(ledger.reserved()) == {port: sum(at.values()) for port, at in expected.items()}
        assert ledger == CapacityLedger(expected)
        assert all(ledger.slice_floors(name) == held.get(name, {}) for name in ("s0", "s1", "s2"))
    last, end = versions[-1]
    for ledger, held in versions:
        sums = {port: sum(at.values()) for port, at in by_port(held).items()}
        moved = sums | dict(ledger.changes(last))
        assert {port: total for port, total in moved.items() if total} == {
            port: sum(at.values()) for port, at in by_port(end).items()
        }


class Clash:
    """Keys with few hashes, so that buckets split deep and hold several."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __hash__(self) -> int:
        return (self.value % 3) << 40

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Clash) and other.value == self.value


def test_keys_of_one_hash_are_kept_apart() -> None:
    made: PersistentMap[Clash, int] = PersistentMap((Clash(k), k) for k in range(100))
    assert len(made) == 100
    assert all(made[Clash(k)] == k for k in range(100))
    less = made.discard(Clash(50))
    assert Clash(50) not in less
    assert made[Clash(50)] == 50
    assert dict(made.changes(less)) == {Clash(50): None}
    assert less.discard(Clash(50)) is less
