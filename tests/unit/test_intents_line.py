"""One line of intent: what it means in both languages, and what a slip in it is answered with."""

from __future__ import annotations

import re

import pytest

from carelane.errors import InputError
from carelane.intents import OFF, ServiceIntent, StatedObjectives, parse_line

SURGERY = ServiceIntent(
    name="remote-surgery-county-or-1-province-console-3",
    tenant="default",
    service="remote-surgery",
    source=("county/or-1",),
    to=("province/console-3",),
    objectives=StatedObjectives(delay_s=0.020, availability=0.99999),
)


@pytest.mark.parametrize(
    "line",
    [
        "remote surgery county/or-1 -> province/console-3: 20 ms, 99.999%",
        "远程手术 county/or-1 → province/console-3：20 毫秒，99.999%",
        "Remote-Surgery county/or-1->province/console-3:20ms,99.999%",
        "telesurgery from county/or-1 to province/console-3: delay 20 ms; availability 99.999%",
        "远程手术\u3000county/or-1\u3000至\u3000province/console-3：时延２０毫秒、可用性９９．９９９％。",
        "远程手术 从 county/or-1 到 province/console-3：时延：20毫秒，可用率：99.999％",
        "remote surgery county/or-1 => province/console-3: latency: 0.02 s, availability 0.99999",
        'remote surgery "county/or-1" ⇒ “province/console-3”: 20\u202fms, 99.999 %.',
        "remote surgery county/or-1 -> province/console-3: 20 ms one way, 99.999%",
    ],
)
def test_the_same_wish_in_many_spellings(line: str) -> None:
    assert parse_line(line) == SURGERY


def test_endpoints_may_come_from_fields() -> None:
    source, to = ["county/or-1"], ["province/console-3"]
    assert parse_line("remote surgery: 20 ms, 99.999%", source=source, to=to) == SURGERY
    assert parse_line("远程手术：20 毫秒，99.999%", source=source, to=to) == SURGERY
    assert parse_line("remote surgery", source=source, to=to).objectives == StatedObjectives()


def test_without_endpoints_the_error_lists_those_that_fit() -> None:
    with pytest.raises(InputError, match=r"from and to missing; expected endpoints among a, b, c;.*--from"):
        parse_line("remote surgery: 20 ms", known_endpoints=["a", "b", "c"])
    with pytest.raises(InputError, match=r"no endpoints: to missing; expected endpoints among b, c;"):
        parse_line("remote surgery: 20 ms", source=["a"], known_endpoints=["a", "b", "c"])
    with pytest.raises(InputError, match="and 180 more"):
        parse_line("remote surgery", known_endpoints=[f"s{number}" for number in range(200)])


def test_endpoints_in_the_line_and_in_fields_must_agree() -> None:
    assert parse_line("remote surgery a -> b", source=["a"], to=["b"]).source == ("a",)
    with pytest.raises(InputError, match="both name endpoints"):
        parse_line("remote surgery a -> b", source=["c"], to=["b"])


def test_several_targets_and_a_hub() -> None:
    cast = parse_line("remote teaching or-1 -> a, b, c: 30 Mbps")
    assert (cast.source, cast.to) == (("or-1",), ("a", "b", "c"))
    hub = parse_line("远程会诊 乡镇/甲、乡镇/乙，乡镇/丙 → 省/主会场")
    assert (hub.source, hub.to) == (("乡镇/甲", "乡镇/乙", "乡镇/丙"), ("省/主会场",))
    for clause in ("2 speakers", "speakers 2", "speakers: 2", "2方发言", "2 个发言", "发言 2"):
        assert parse_line(f"remote consultation a, b, c -> d: 5 Mbps, {clause}, 150 ms").speakers == 2


FULL = ServiceIntent(
    name="m-1",
    tenant="county-hospital",
    service="remote-consultation",
    source=("a",),
    to=("b",),
    objectives=StatedObjectives(
        delay_s=0.05, jitter_s=0.005, loss=0.0001, availability=OFF, forward_bps=40_000_000, reverse_bps=2_000_000
    ),
    burst_bytes=64_000,
    round_trip=True,
    protection="none",
    priority=7,
)


@pytest.mark.parametrize(
    "line",
    [
        "remote consultation a -> b: 50 ms round trip, 40 Mbps up / 2 Mbps down, jitter 5 ms, loss 0.01%, "
        "availability none, burst 64KB, unprotected, priority 7",
        "remote consultation a -> b: 50 ms, RTT, 40 Mbit/s forward, reverse 2 Mbit/s, 5 ms jitter, packet loss 0.01%, "
        "no availability, 64 KB burst, unprotected, priority: 7",
        "远程会诊 a → b：往返时延50毫秒，40兆上行／2兆下行，抖动5毫秒，丢包率0.01％，可用性不限，突发64KB，"
        "无保护，优先级7",
        "远程会诊 a 至 b：50毫秒，往返，上行 40 兆，下行 2 兆，抖动：5 毫秒，丢包 0.01%，无可用性，突发 64KB，"
        "不保护，优先级 7",
    ],
)
def test_everything_a_line_can_say(line: str) -> None:
    assert parse_line(line, name="m-1", tenant="county-hospital") == FULL


def test_switches_and_directions() -> None:
    line = parse_line("video conference a -> b: no jitter, loss none, delay: none, protected, 3 Mbps, forward only")
    assert line.objectives == StatedObjectives(
        jitter_s=OFF, loss=OFF, delay_s=OFF, forward_bps=3_000_000, reverse_bps=3_000_000
    )
    assert (line.protection, line.direction) == ("required", "forward")
    reverse = parse_line("视频会议 a → b：仅下行 3 兆")
    assert (reverse.direction, reverse.objectives.reverse_bps) == ("reverse", 3_000_000)


@pytest.mark.parametrize(
    ("clauses", "message"),
    [
        ("20", r"column 24: '20' does not say what it is.*write its unit"),
        ("20 mss", r"column 24: unknown unit 'mss'.*did you mean ms"),
        ("20 MS", r"unknown unit 'MS'.*did you mean ms\?"),
        ("40 mbps", r"unknown unit 'mbps'.*did you mean Mbps\?"),
        ("20 毫妙", r"unknown unit '毫妙'.*did you mean 毫秒"),
        ("jiter 5 ms", r"column 24: 'jiter' does not fit here.*did you mean 'jitter'"),
        ("20 ms, 30 ms", r"column 31: delay is stated twice"),
        ("20 ms 30 ms", r"column 30: '30' stands twice in one clause; put a comma"),
        ("20 ms jitter 3 ms", "stands twice in one clause"),
        ("jitter loss none", r"column 31: 'loss' in the same clause"),
        ("jitter 5 Mbps", r"column 31: '5 Mbps' is not a measure of jitter; expected a time"),
        ("jitter", r"column 24: 'jitter' without a figure"),
        ("jitter 5 ms up", r"column 36: 'up' does not fit in this clause"),
        ("64 KB", "write 'burst 64 KB'"),
        ("no loss", r"could mean none at all or no bound.*write 'loss none'"),
        ("无丢包", r"could mean none at all or no bound"),
        ("no bandwidth", "cannot be switched off"),
        ("100%", "nothing can be proven never to fail"),
        ("0 ms", "a delay of zero is impossible"),
        ("0 Mbps", "carries nothing"),
        ("loss 0%", "no packet is ever lost"),
        ("loss 100%", "no bound at all"),
        ("-5 ms", "negative"),
        ("40 Mbps up", r"stated for forward only.*a rate for reverse too"),
        ("40 Mbps / 2 Mbps", "say which is which: '40 Mbps up / 2 Mbps down'"),
        ("40 Mbps up, 2 Mbps up", "twice for the same direction"),
        ("round trip, one way", "stated twice"),
        ("protected, unprotected", "stated twice"),
        ("burst 64KB, burst 1MB", "burst is stated twice"),
        ("priority 17", "from 0 .least. to 9"),
        ("priority 1.5", "is not a priority"),
        ("0 speakers", "is no number of speakers"),
        ("2 speakers, speakers 3", "stated twice"),
        ("3 speakers", "only the sites of a hub consultation"),
        ("burst 1 B", "cannot be meant"),
        ("1.2.3 ms", "'1.2.3' does not fit here"),
        ("", r"column 23: the line ends too early; expected a figure"),
        ("20 ms,", r"the line ends too early"),
    ],
)
def test_a_slip_in_the_objectives_names_the_column_and_the_remedy(clauses: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_line(f"remote surgery a -> b: {clauses}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "the line is empty"),
        ("remote surgery a -> b\nremote surgery c -> d", "more than one line"),
        ("x" * 2001, "2001 characters; expected at most 2000"),
        ("remote sugery a -> b", r"column 1: unknown service 'remote sugery'.*did you mean remote-surgery"),
        ("a -> b: 20 ms", "no service before the first endpoint"),
        ("remote surgery a b -> c", r"column 16: 'a' after the service remote-surgery.*the first endpoint alone"),
        ("remote surgery a至b", r"column 16: 'a至b' after the service.*put blanks around the arrow"),
        ("remote surgery a -> ", r"column 20: the line ends too early; expected a service or endpoint name"),
        ("remote surgery a -> b 20 ms", r"column 23: '20' does not fit here; expected a comma or ':'"),
        ("remote surgery a -> a", r"column 21: 'a' stands on both sides"),
        ("remote surgery a -> b, c, b", r"column 27: 'b' appears twice in to"),
        ("remote surgery a, b -> c, d", r"several endpoints on both sides"),
        ('remote surgery "" -> b', r"column 16: '' is not the name of an endpoint"),
        ('remote surgery " a" -> b', "is not the name of an endpoint"),
        ("remote surgery a, -> b", "column 19: '->' does not fit here"),
        ("-> ", "column 1"),
    ],
)
def test_a_slip_before_the_colon_names_the_column_and_the_remedy(line: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_line(line)


def test_a_derived_name_is_a_label_and_tells_intents_apart() -> None:
    lines = [
        "remote surgery a -> b",
        "remote surgery b -> a",
        "remote consultation a -> b, c",
        "remote consultation a, b -> c",
        "remote consultation b, a -> c",
        "remote surgery 甲 -> 乙",
        "remote surgery 乙 -> 甲",
        "remote surgery A -> b",
        "remote surgery a.1 -> b",
        "remote surgery a_1 -> b",
        f"remote surgery {'long/' * 12}x -> b",
        f"remote surgery {'long/' * 12}y -> b",
    ]
    names = [parse_line(line).name for line in lines]
    assert len(set(names)) == len(lines)
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name) for name in names)
    assert names == [parse_line(line).name for line in lines]
    assert parse_line("远程手术 a → b：20 毫秒").name == parse_line("remote surgery a -> b: 50 ms").name


@pytest.mark.parametrize("name", ["Upper", "-a", "a" * 64, "a.b", ""])
def test_a_given_name_must_be_a_label(name: str) -> None:
    with pytest.raises(InputError, match="RFC 1123"):
        parse_line("remote surgery a -> b", name=name)
    with pytest.raises(InputError, match="RFC 1123"):
        parse_line("remote surgery a -> b", tenant=name)
