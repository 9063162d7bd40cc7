"""What `--ovsdb` may say, and which switch's database is then meant."""

from __future__ import annotations

import pytest

from carelane.controller.southbound.ovsdb_remotes import ovsdb_remotes
from carelane.errors import InputError

DPIDS = {"west": 1, "county/or=1": 2, "east": 3}


def test_one_server_for_every_switch() -> None:
    for remote in ("tcp:192.0.2.20:6640", "ssl:[2001:db8::1]:6640", "unix:/run/openvswitch/db.sock", "tcp:name:1"):
        assert ovsdb_remotes(remote, DPIDS) == remote


def test_one_for_each_by_the_name_of_the_node() -> None:
    text = "west=tcp:192.0.2.1:6640, county/or=1=ssl:[2001:db8::2]:6640,east=unix:/run/o=v.sock"
    assert ovsdb_remotes(text, DPIDS) == {
        1: "tcp:192.0.2.1:6640",
        2: "ssl:[2001:db8::2]:6640",
        3: "unix:/run/o=v.sock",
    }


def test_one_without_a_name_is_for_all_others() -> None:
    assert ovsdb_remotes("tcp:a:1,east=tcp:b:2", DPIDS) == {1: "tcp:a:1", 2: "tcp:a:1", 3: "tcp:b:2"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is not an OVSDB remote"),
        ("192.0.2.1:6640", "not an OVSDB remote"),
        ("ptcp:6640", "not an OVSDB remote"),
        ("tcp:192.0.2.1", "not an OVSDB remote"),
        ("tcp::6640", "not an OVSDB remote"),
        ("tcp:a:0", "not an OVSDB remote"),
        ("tcp:a:65536", "not an OVSDB remote"),
        ("tcp:a:٣", "not an OVSDB remote"),
        ("unix:", "not an OVSDB remote"),
        ("=tcp:a:1", "not an OVSDB remote"),
        ("west=tcp:a:1,", "'' is not an OVSDB remote"),
        ("tcp:a:1,tcp:b:2", "both for every switch"),
        ("west=tcp:a:1,west=tcp:b:2", "node 'west' has two remotes"),
        ("tcp:a:1,wset=tcp:b:2", "node 'wset' is not in the topology; expected one of county/or=1, east, west"),
        ("west=tcp:a:1", "no remote for county/or=1, east;"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        ovsdb_remotes(text, DPIDS)
    assert said in str(refused.value)
    assert refused.value.field == "--ovsdb"


def test_a_long_list_is_cut_short() -> None:
    many = {f"n{number:03}": number for number in range(1, 101)}
    with pytest.raises(InputError, match=r"no remote for n002, .*, n011 and 89 more"):
        ovsdb_remotes("n001=tcp:a:1", many)
