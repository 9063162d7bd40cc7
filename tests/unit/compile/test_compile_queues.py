"""What the queues and meters of a slice are worth."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelane.controller.pipeline.compile import check_slice, compile_program
from carelane.controller.pipeline.compile._policing import police
from carelane.controller.pipeline.identifiers import allocate, labels_needed
from carelane.controller.pipeline.program import FIRST_LABEL, LAST_LABEL, LAST_SLICE, SliceIds
from carelane.errors import ConflictError

MBIT = 1_000_000
ROUTES = {("h1", "h3"): ["ab", "cd"]}


def queue_of(program, node, port, number):
    (qos,) = [item for item in program[node].ports if item.port == port]
    (queue,) = [item for item in qos.queues if item.id == number]
    return queue


def test_every_port_on_the_way_holds_the_reserved_floor(net):
    program = net.compile(net.decide("surgery", ROUTES))
    for node, port in (("s1", 1), ("s2", 2), ("s1", 2), ("s4", 2), ("s3", 11)):
        queue = queue_of(program, node, port, 1)
        assert (queue.min_rate_bps, queue.max_rate_bps) == (10 * MBIT, 100 * MBIT)
        assert (queue.priority, queue.slice) == (1, "surgery")
    for node, port in (("s3", 1), ("s2", 1), ("s1", 11)):
        assert queue_of(program, node, port, 1).min_rate_bps == 2 * MBIT
    assert program["s5"].ports == ()


def test_a_queue_covers_the_policed_burst_and_its_growth(net):
    decision = net.decide("surgery", ROUTES, jitter_s=0.01)
    program = net.compile(decision)
    (meter,) = program["s1"].meters
    grown = meter.burst_kb * 1000 + 10 * MBIT * 0.01
    assert queue_of(program, "s2", 2, 1).burst_bits >= grown


def test_hub_floors_add_up_and_multipoint_floors_count_once(net):
    hub = net.decide("hub", {("h5", "h1"): ["ea"], ("h3", "h1"): ["ba"]}, connectivity="hub")
    assert queue_of(net.compile(hub), "s2", 1, 1).min_rate_bps == 20 * MBIT
    multi = net.decide("multi", {("h1", "h5"): ["ae"], ("h1", "h3"): ["ab"]}, connectivity="point-to-multipoint")
    program = net.compile(multi)
    assert queue_of(program, "s1", 1, 1).min_rate_bps == 10 * MBIT
    assert queue_of(program, "s2", 1, 1).min_rate_bps == 2 * MBIT


def test_of_sites_that_take_turns_so_many_floors_and_bursts_count_as_speak(net):
    routes = {("h5", "h1"): ["ea"], ("h3", "h1"): ["ba"]}
    both = queue_of(net.compile(net.decide("hub", routes, connectivity="hub")), "s2", 1, 1)
    decision = net.decide("hub", routes, connectivity="hub")
    turns = replace(decision, requirement=replace(decision.requirement, speakers=1))
    one = queue_of(net.compile(turns), "s2", 1, 1)
    assert (one.min_rate_bps, both.min_rate_bps) == (10 * MBIT, 20 * MBIT)
    assert one.burst_bits == both.burst_bits // 2


def test_a_port_promised_twice_is_refused_and_not_programmed(net):
    one, two = net.decide("one", ROUTES, forward_bps=60 * MBIT), net.decide("two", {("h1b", "h3"): ["ab"]})
    net.compile(one, two)
    with pytest.raises(
        ConflictError, match=r"slices one and two are promised 120000000 .* on port 1 of s1, which carries 100000000 "
    ):
        net.compile(one, net.decide("two", {("h1b", "h3"): ["ab"]}, forward_bps=60 * MBIT))


def test_no_floor_is_smaller_than_open_vswitch_makes_one(net):
    program = net.compile(net.decide("ecg", ROUTES, forward_bps=2000, reverse_bps=1000))
    floors = {queue.min_rate_bps for switch in program.values() for port in switch.ports for queue in port.queues}
    assert floors == {16_000}


def test_elastic_classes_are_not_policed(net):
    program = net.compile(net.decide("images", ROUTES, traffic_class="high-throughput-data"))
    assert all(switch.meters == () for switch in program.values())


def test_a_delivery_port_of_unknown_capacity_gets_no_queue_and_still_delivers(net):
    net.replace_endpoint(replace(net.topology.endpoints["h3"], capacity_bps=None))
    decision = net.decide("surgery", ROUTES)
    assert [item.port for item in net.compile(decision)["s3"].ports] == [1, 2]
    assert net.install(decision).send("h1", net.packet("h1", "h3")).reached == ["h3"]


@given(rate_bps=st.integers(1, 10**11), burst_bytes=st.integers(0, 10**7), max_packet_bytes=st.integers(64, 65_000))
def test_a_policer_never_offers_less_than_was_declared(rate_bps, burst_bytes, max_packet_bytes):
    bucket = police(rate_bps, burst_bytes, max_packet_bytes)
    assert rate_bps <= bucket.rate_kbps * 1000 < rate_bps + 1000
    # The kernel refills at most floor(bucket / rate) whole milliseconds after an idle time, and may be one behind.
    refilled_bits = (bucket.burst_bits // bucket.rate_kbps - 1) * bucket.rate_kbps
    assert refilled_bits + 2 * bucket.rate_kbps >= (burst_bytes + 2 * max_packet_bytes) * 8
    assert refilled_bits > 0


def test_conforming_traffic_passes_its_meter_and_excess_does_not(net):
    simulator = net.install(net.decide("surgery", ROUTES, forward_bps=12 * MBIT))
    packet = net.packet("h1", "h3", size_bytes=1500)
    burst = [simulator.send("h1", packet, at_s=0.0).reached for _ in range(4)]
    paced = [simulator.send("h1", packet, at_s=0.001 * i).reached for i in range(1, 1000)]
    assert all(reached == ["h3"] for reached in burst + paced)
    flood = [simulator.send("h1", packet, at_s=2.0).reached for _ in range(100)]
    assert 4 <= sum(reached == ["h3"] for reached in flood) <= 10
    assert sum(simulator.meter_drops("s1").values()) >= 90


def test_numbers_are_the_lowest_free_and_blocks_do_not_overlap(net):
    decision = net.decide("surgery", ROUTES)
    first = allocate(decision, [])
    assert first == SliceIds(1, FIRST_LABEL, 4)
    second = allocate(decision, [first])
    assert second == SliceIds(2, FIRST_LABEL + 4, 4)
    third = allocate(decision, [first, second])
    assert allocate(decision, [first, third]) == second
    assert allocate(decision, [second, third]) == first
    narrow_gap = [SliceIds(2, FIRST_LABEL + 3, 4)]
    assert allocate(decision, narrow_gap) == SliceIds(1, FIRST_LABEL + 7, 4)
    multi = net.decide("m", {("h1", "h3"): ["ab"]}, connectivity="point-to-multipoint")
    assert labels_needed(multi) == 3


def test_exhausted_numbers_are_a_conflict_with_a_way_out(net):
    decision = net.decide("surgery", ROUTES)
    with pytest.raises(ConflictError, match="withdraw slices"):
        allocate(decision, [SliceIds(number, FIRST_LABEL, 0) for number in range(1, LAST_SLICE + 1)])
    with pytest.raises(ConflictError, match="consecutive path labels"):
        allocate(decision, [SliceIds(1, FIRST_LABEL, LAST_LABEL - FIRST_LABEL - 2)])
    with pytest.raises(ConflictError, match="refused"):
        allocate(replace(decision, admitted=False), [])


def test_shared_numbers_are_refused(net):
    one, two = net.decide("one", ROUTES), net.decide("two", {("h1b", "h5"): ["ae"]})
    with pytest.raises(ConflictError, match="slice number 1"):
        compile_program(net.topology, [(one, SliceIds(1, 16, 4)), (two, SliceIds(1, 30, 4))])
    with pytest.raises(ConflictError, match="share path labels"):
        compile_program(net.topology, [(one, SliceIds(1, 16, 4)), (two, SliceIds(2, 19, 4))])
    with pytest.raises(ConflictError, match="needs 4 labels and holds 2"):
        compile_program(net.topology, [(one, SliceIds(1, 16, 2))])


def test_a_slice_is_checked_before_it_joins(net):
    one, two = net.decide("one", ROUTES), net.decide("two", {("h5", "h2"): ["e"]})
    slices = net.number([one, two])
    clash = net.decide("clash", {("h3", "h1"): ["ba"]})
    with pytest.raises(ConflictError, match="one and clash"):
        check_slice(net.topology, clash, allocate(clash, [ids for _, ids in slices]), slices)
    fine = net.decide("fine", {("h1b", "h3"): ["ab"]})
    check_slice(net.topology, fine, allocate(fine, [ids for _, ids in slices]), slices)
