"""The catalogue: figures against the published ones, names in two languages, and what a faulty catalogue gets."""

from __future__ import annotations

import subprocess
import sys

import pytest

from carelane.errors import InputError
from carelane.intents import CATALOGUE, find_service
from carelane.intents.catalogue import load_catalogue
from carelane.policies.classes import CLASSES

DSCP = {
    "remote-surgery": "EF",
    "remote-surgery-video": "CS4",
    "remote-ultrasound": "CS4",
    "remote-consultation": "AF41",
    "video-conference": "AF41",
    "emergency-rescue": "CS4",
    "remote-teaching": "CS3",
    "remote-monitoring": "AF21",
    "wearable-telemetry": "AF21",
    "emr-transaction": "AF21",
    "imaging-transfer": "AF11",
    "genome-transfer": "CS1",
    "campus-management": "CS3",
    "smart-guidance": "AF21",
    "mobile-care": "AF21",
    "ai-diagnosis": "AF21",
}
OBJECTIVES = {"delay_s", "jitter_s", "loss", "availability", "bandwidth_bps", "burst_bytes"}


def default(service: str, key: str) -> object:
    found = CATALOGUE[service].defaults.get(key)
    return found.value if found else None


def test_every_service_has_a_class_the_network_knows_with_the_dscp_of_rfc_4594() -> None:
    assert {name: CLASSES[service.traffic_class].dscp_name for name, service in CATALOGUE.items()} == DSCP


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_objective_has_a_sourced_default_or_a_reason_for_having_none(name: str) -> None:
    service = CATALOGUE[name]
    assert set(service.defaults) | set(service.not_found) == OBJECTIVES
    assert not set(service.defaults) & set(service.not_found)
    assert all(found.value is not None and len(found.source) > 5 for found in service.defaults.values())
    assert all(service.not_found.values())


def test_remote_surgery_is_what_the_network_was_founded_for() -> None:
    assert default("remote-surgery", "delay_s") == 0.020
    assert default("remote-surgery", "availability") == 0.99999
    assert default("remote-surgery", "bandwidth_bps") == 5_200_000
    assert default("remote-surgery", "jitter_s") == 0.010
    assert default("remote-surgery", "loss") == 0.0001
    assert "round trip" in CATALOGUE["remote-surgery"].defaults["delay_s"].source


def test_a_gap_in_the_sources_is_never_filled() -> None:
    assert default("remote-consultation", "availability") is None
    assert default("remote-surgery-video", "loss") is None
    assert default("genome-transfer", "bandwidth_bps") is None
    assert dict(CATALOGUE["imaging-transfer"].defaults) == {}


@pytest.mark.parametrize(
    ("service", "frames_a_second"),
    [("remote-surgery-video", 60), ("remote-ultrasound", 30), ("video-conference", 30), ("remote-teaching", 30)],
)
def test_a_video_burst_is_one_i_frame_of_twice_the_mean(service: str, frames_a_second: int) -> None:
    rate = default(service, "bandwidth_bps")
    assert isinstance(rate, int)
    assert default(service, "burst_bytes") == -(-2 * rate // (frames_a_second * 8))


def test_an_i_frame_at_the_reserved_rate_leaves_room_within_the_delay() -> None:
    for name, service in CATALOGUE.items():
        rate, burst, delay = (default(name, key) for key in ("bandwidth_bps", "burst_bytes", "delay_s"))
        if isinstance(rate, int) and isinstance(burst, int) and isinstance(delay, float):
            assert burst * 8 / rate < delay, service.name


def test_reused_rows_give_their_strictest_objective_and_the_sum_of_their_rates() -> None:
    for name in ("smart-guidance", "mobile-care", "ai-diagnosis"):
        assert default(name, "delay_s") == 0.150
        assert default(name, "loss") == 0.001
        assert default(name, "bandwidth_bps") == 1_500_000
        assert "video-conference" in CATALOGUE[name].defaults["delay_s"].source
        assert "emr-transaction" in CATALOGUE[name].defaults["loss"].source


def test_priorities_put_care_before_records_and_records_before_bulk() -> None:
    order = [
        ["remote-surgery"],
        ["remote-surgery-video", "remote-ultrasound", "emergency-rescue"],
        ["remote-monitoring", "wearable-telemetry"],
        ["remote-consultation"],
        ["video-conference", "remote-teaching"],
        ["emr-transaction", "smart-guidance", "mobile-care", "ai-diagnosis"],
        ["campus-management"],
        ["imaging-transfer"],
        ["genome-transfer"],
    ]
    ranks = [{CATALOGUE[name].priority for name in names} for names in order]
    assert all(len(rank) == 1 for rank in ranks)
    assert [rank.pop() for rank in ranks] == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert sorted(name for names in order for name in names) == sorted(CATALOGUE)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("远程手术", "remote-surgery"),
        ("远程会诊", "remote-consultation"),
        ("远程超声", "remote-ultrasound"),
        ("急救", "emergency-rescue"),
        ("远程教学", "remote-teaching"),
        ("远程监护", "remote-monitoring"),
        ("智能导诊", "smart-guidance"),
        ("移动护理", "mobile-care"),
        ("移动医疗", "mobile-care"),
        ("智慧院区管理", "campus-management"),
        ("AI辅助诊断", "ai-diagnosis"),
        ("AI 辅助诊断", "ai-diagnosis"),
        ("影像传输", "imaging-transfer"),
        ("电子病历", "emr-transaction"),
        ("基因数据传输", "genome-transfer"),
        ("可穿戴监测", "wearable-telemetry"),
        ("视频会议", "video-conference"),
        ("Remote Surgery", "remote-surgery"),
        ("remote_surgery", "remote-surgery"),
        ("PACS", "imaging-transfer"),
    ],
)
def test_services_are_found_by_any_of_their_names(text: str, name: str) -> None:
    assert find_service(text).name == name


def test_an_unknown_service_is_answered_with_the_nearest_and_with_all() -> None:
    with pytest.raises(InputError, match=r"unknown service 'remote sugery'.*did you mean remote-surgery") as caught:
        find_service("remote sugery")
    assert all(name in str(caught.value.expected) for name in CATALOGUE)
    with pytest.raises(InputError, match="did you mean remote-consultation"):
        find_service("远程会珍")


ROW = """apiVersion: carelane/v1
kind: ServiceCatalogue
spec:
  services:
    - name: remote-x
      title: X
      titleZh: 某
      trafficClass: telephony
      priority: 3
      defaults:
        delay: {value: 20ms, source: somewhere}
      notFound: {jitter: no, loss: no, availability: no, bandwidth: no, burst: no}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("20ms", "20 parsecs", r"t\.yaml:11: spec\.services\[0\]\.defaults\.delay: unknown unit"),
        (", source: somewhere", "", r"t\.yaml:11: .*source: missing"),
        ("jitter: no, ", "", "jitter: need either a default or a reason"),
        ("delay: {", "delya: {", "delya"),
        ("priority: 3", "priority: 33", "not a priority"),
        ("title: X\n", "title: X\n      aliases: [某, Remote X]\n", None),
        ("      defaults:", "      reuse: [other]\n      defaults:", "names rows above it"),
    ],
)
def test_a_faulty_catalogue_is_refused_where_the_fault_is(old: str, new: str, message: str | None) -> None:
    text = ROW.replace(old, new)
    if message is None:
        assert list(load_catalogue(text, "t.yaml")) == ["remote-x"]
        return
    with pytest.raises(InputError, match=message):
        load_catalogue(text, "t.yaml")


def test_two_services_cannot_share_a_name() -> None:
    second = ROW.split("services:\n")[1].replace("remote-x", "remote-y")
    with pytest.raises(InputError, match="already names remote-x"):
        load_catalogue(ROW + second, "t.yaml")


def test_the_package_imports_no_parser_until_one_is_used() -> None:
    code = "import sys, carelane.intents; sys.exit(any(m in sys.modules for m in ('lark', 'pydantic', 'yaml')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
