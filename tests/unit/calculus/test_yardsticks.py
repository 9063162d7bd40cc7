"""Published bounds: NetCal's functional tests in exact fractions, and Panco's sink tree.

The networks are those of github.com/NetCal/DNC_func_tests (R = 20, T = 20, r = 5, b = 25 everywhere); their bounds are
the ones it expects with aggregate PBOO arrival bounds. The sink tree is the example of Bouillard's Panco.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from carelane.topology.calculus import Analysis, Flow, Multiplexing, Network, Server, delay_bounds

Paths = tuple[tuple[int, ...], ...]


def network(paths: Paths) -> Network:
    servers = sorted({server for path in paths for server in path})
    return Network.of(
        [Server(f"s{n}", Fraction(20), Fraction(20)) for n in servers],
        [Flow(f"f{n}", tuple(f"s{x}" for x in path), Fraction(5), Fraction(25)) for n, path in enumerate(paths)],
    )


TWO: Paths = ((0, 1), (1,))
THREE: Paths = ((0, 1), (2,), (0, 1, 2))
FF_3S: Paths = ((0, 2), (0, 1, 2))
FF_4S_3F: Paths = ((0, 1, 3), (2, 3), (2, 1))
FF_4S_4F: Paths = ((0, 1, 3), (2, 3), (2, 1), (2, 0, 3))
TREE: Paths = ((1, 2, 5, 6), (0, 1, 2, 5, 6), (3, 4, 5, 6))
TANDEM_4S: Paths = ((0, 1, 2, 3), (1, 2))


@pytest.mark.parametrize(
    ("paths", "analysis", "multiplexing", "expected"),
    [
        (TWO, "tfa", "fifo", ("195/4", "55/2")),
        (TWO, "sfa", "fifo", ("515/12", "335/12")),
        (TWO, "sfa", "arbitrary", ("50", "110/3")),
        (THREE, "tfa", "fifo", (None, None, "5725/64")),
        (THREE, "sfa", "fifo", (None, None, "845/12")),
        (THREE, "sfa", "arbitrary", (None, None, "280/3")),
        (FF_3S, "tfa", "fifo", ("485/8", "1395/16")),
        (FF_3S, "tfa", "arbitrary", ("385/3", "470/3")),
        (FF_3S, "sfa", "fifo", ("2615/48", "3335/48")),
        (FF_3S, "sfa", "arbitrary", ("670/9", "790/9")),
        (FF_4S_3F, "tfa", "fifo", ("5985/64", "3965/64", "885/16")),
        (FF_4S_3F, "tfa", "arbitrary", ("6425/36", "2395/18", "685/6")),
        (FF_4S_3F, "sfa", "fifo", ("1795/24", "10715/192", "295/6")),
        (FF_4S_3F, "sfa", "arbitrary", ("875/9", "2095/27", "65")),
        (FF_4S_4F, "tfa", "fifo", ("3735/32", "155/2", "1875/32", "845/8")),
        (FF_4S_4F, "tfa", "arbitrary", ("1370/3", "395", "1105/6", "925/2")),
        (FF_4S_4F, "sfa", "fifo", ("1525/16", "575/8", "1695/32", "1405/16")),
        (FF_4S_4F, "sfa", "arbitrary", ("580/3", "345/2", "1625/18", "560/3")),
        (TREE, "tfa", "fifo", ("395/2", "875/4", "180")),
        (TREE, "tfa", "arbitrary", ("660", "2725/4", "1155/2")),
        (TREE, "sfa", "fifo", ("165", "165", "295/2")),
        (TREE, "sfa", "arbitrary", ("1735/6", "1655/6", "505/2")),
        (TANDEM_4S, "tfa", "fifo", ("7985/64", "65")),
        (TANDEM_4S, "tfa", "arbitrary", ("2335/12", "130")),
        (TANDEM_4S, "sfa", "fifo", ("535/6", "355/6")),
        (TANDEM_4S, "sfa", "arbitrary", ("105", "235/3")),
    ],
)
def test_the_bounds_of_netcal(
    paths: Paths, analysis: Analysis, multiplexing: Multiplexing, expected: tuple[str | None, ...]
) -> None:
    bounds = delay_bounds(network(paths), analysis, multiplexing)
    assert bounds.propagation == "service"
    for flow, text in enumerate(expected):
        if text is not None:
            assert bounds.flows[f"f{flow}"].delay == Fraction(text), f"f{flow}"


def sink_tree(count: int) -> Network:
    """Bits and seconds: flow i crosses servers i to count - 1."""
    rate = Fraction(10**10)
    return Network.of(
        [Server(f"s{n}", rate, Fraction(10, 10**6), peak=rate) for n in range(count)],
        [
            Flow(f"f{n}", tuple(f"s{x}" for x in range(n, count)), rate / 2 / count, Fraction(8000))
            for n in range(count)
        ],
    )


def test_the_sink_tree_of_panco_with_and_without_line_shaping() -> None:
    tree = sink_tree(12)
    shaped = delay_bounds(tree, "tfa", "fifo", line_shaping=True).flows["f0"].delay
    plain = delay_bounds(tree, "tfa", "fifo").flows["f0"].delay
    assert shaped is not None
    assert plain is not None
    assert round(float(shaped * 10**6), 3) == 142.018
    assert round(float(plain * 10**6), 1) == 584.8


def test_aggregates_that_stay_together_pay_less_than_flows_that_are_delayed_one_by_one() -> None:
    tree = sink_tree(12)
    together = delay_bounds(tree, "tfa", "fifo", propagation="service").flows["f0"].delay
    shaped = delay_bounds(tree, "tfa", "fifo", propagation="service", line_shaping=True).flows["f0"].delay
    assert together is not None
    assert shaped is not None
    assert round(float(together * 10**6), 3) == 301.567
    assert shaped < together < Fraction(5848, 10**7)


@pytest.mark.parametrize(("count", "best_us"), [(2, 21.8), (3, 32.8222), (4, 43.8516)])
def test_no_bound_is_below_the_worst_case_that_is_reached(count: int, best_us: float) -> None:
    """The least known bounds of small sink trees; a smaller one would be suspect."""
    for analysis, shaping in (("tfa", True), ("tfa", False), ("sfa", True), ("sfa", False)):
        delay = delay_bounds(sink_tree(count), analysis, "fifo", line_shaping=shaping).flows["f0"].delay  # type: ignore[arg-type]
        assert delay is not None
        assert float(delay * 10**6) >= best_us - 1e-4
