"""The order of a diff, and what it keeps."""

from __future__ import annotations

from dataclasses import replace

from carelane.controller.pipeline.diff import diff
from carelane.controller.pipeline.program import FlowRule, Group, Meter, PortQos, SwitchProgram
from carelane.controller.pipeline.render import describe_changes, describe_program
from carelane.controller.southbound.protocol import flow_key_text

ROUTES = {("h1", "h3"): ["ab", "cd"]}


def kinds(changes):
    names = {FlowRule: "flow", Group: "group", Meter: "meter", PortQos: "port"}
    return list(dict.fromkeys((item.verb, names[type(item.target)]) for item in changes.operations))


def test_installing_goes_from_queues_to_flows_and_withdrawing_the_other_way(net):
    bare, full = net.compile()["s1"], net.compile(net.decide("surgery", ROUTES))["s1"]
    assert kinds(diff(bare, full)) == [("add", "port"), ("add", "meter"), ("add", "group"), ("add", "flow")]
    assert kinds(diff(full, bare)) == [
        ("delete", "flow"),
        ("delete", "group"),
        ("delete", "meter"),
        ("delete", "port"),
    ]


def test_a_second_slice_touches_shared_ports_only(net):
    one, two = net.decide("one", ROUTES), net.decide("two", {("h1b", "h5"): ["ae"]})
    before, after = net.compile(one)["s1"], net.compile(one, two)["s1"]
    assert kinds(diff(before, after)) == [("modify", "port"), ("add", "port"), ("add", "meter"), ("add", "flow")]


def test_a_new_path_keeps_the_counters_of_rules_that_only_change_actions(net):
    simulator = net.install(net.decide("surgery", {("h1", "h3"): ["ab"]}))
    for _ in range(3):
        simulator.send("h1", net.packet("h1", "h3"))
    classify = next(rule for rule in simulator.read("s1").own.flows if rule.match.ip_dst == "10.0.0.3/32")
    net.bring(simulator, net.compile(net.decide("surgery", {("h1", "h3"): ["cd"]})))
    assert simulator.read("s1").flow_packets[flow_key_text(classify)] == 3
    assert simulator.send("h1", net.packet("h1", "h3")).reached == ["h3"]
    assert simulator.read("s1").flow_packets[flow_key_text(classify)] == 4


def test_a_changed_cookie_replaces_the_rule(net):
    full = net.compile(net.decide("surgery", ROUTES))["s1"]
    stale = replace(full, flows=tuple(replace(rule, cookie=rule.cookie + 1) for rule in full.flows))
    assert {item.verb for item in diff(stale, full).operations} == {"add"}
    simulator = net.install()
    simulator.apply(diff(SwitchProgram("s1", 1), stale))
    simulator.apply(diff(simulator.read("s1").own, full))
    assert simulator.read("s1").own == full


def test_programs_and_changes_read_like_the_switch_prints_them(net):
    bare, program = net.compile(), net.compile(net.decide("surgery", ROUTES))
    text = "\n".join(describe_program(program))
    assert "s1 (dpid 0000000000000001)" in text
    assert (
        "cookie=0xca9e000000000001, table=1, priority=5160,ip,in_port=11,nw_src=10.0.0.1/32,nw_dst=10.0.0.3/32 "
        "actions=meter:16,set_field:32->ip_dscp,push_mpls:0x8847,group:0xca000010" in text
    )
    assert "table=2, priority=1000,mpls,in_port=1,mpls_label=16 actions=group:0xca000010" in text
    assert (
        "table=2, priority=1000,mpls,in_port=1,mpls_label=16 actions=set_field:18->mpls_label,set_queue:1,output:2"
        in text
    )
    assert "port 1 watched by BFD every 100 ms" in text
    assert "queue 1 (surgery) floor 10 Mbit/s ceiling 100 Mbit/s" in text
    lines = describe_changes(diff(bare["s2"], program["s2"]))
    assert lines[0].startswith("s2 ")
    assert all(line.startswith("  + ") for line in lines[1:])
    assert describe_changes(diff(bare["s2"], bare["s2"])) == []
