"""Where the OVSDB of each switch is: one server for all of them, or one for each, as switches on their own have it.

    tcp:192.0.2.20:6640                                     one server for every switch
    west=ssl:192.0.2.21:6640,east=ssl:192.0.2.22:6640       one for each, by the node's id in the topology
    tcp:192.0.2.20:6640,east=unix:/run/openvswitch/db.sock  the first for every node that is not named

Ids hold neither commas nor colons (`carelane.topology.names`), so that no entry can be read in two ways.
"""

from __future__ import annotations

from collections.abc import Mapping

from carelane.errors import InputError

__all__ = ["ovsdb_remotes", "read_remotes"]

_EXPECTED = "tcp:HOST:PORT, ssl:HOST:PORT or unix:PATH, for one node NODE=REMOTE, several separated by commas"
_SHOWN = 10


def ovsdb_remotes(text: str, dpids: Mapping[str, int]) -> str | Mapping[int, str]:
    """The remote for all switches, or that of each by datapath id; `dpids` are those of the declared nodes.

    Raises InputError for what is no remote, a node that is not declared or named twice, and a node without a remote.
    """
    default, named = read_remotes(text)
    for node in named:
        if node not in dpids:
            raise _bad(f"node {node!r} is not in the topology", f"one of {_some(dpids)}")
    if default is not None and not named:
        return default
    missing = [node for node in dpids if node not in named] if default is None else []
    if missing:
        raise _bad(f"no remote for {_some(missing)}", "one for each node, or one without a name for all others")
    return {dpid: named.get(node, default or "") for node, dpid in dpids.items()}


def read_remotes(text: str) -> tuple[str | None, Mapping[str, str]]:
    """The remote for every node that is not named, and those of named nodes. Raises InputError."""
    default: str | None = None
    named: dict[str, str] = {}
    for entry in text.split(","):
        node, remote = _entry(entry.strip())
        if node is None and default is not None:
            raise _bad(f"{default!r} and {remote!r} are both for every switch", "one of them, or NODE=REMOTE")
        if node is None:
            default = remote
        elif node in named:
            raise _bad(f"node {node!r} has two remotes", "one remote a node")
        else:
            named[node] = remote
    return default, named


def _entry(entry: str) -> tuple[str | None, str]:
    head, colon, rest = entry.partition(":")
    node, equals, kind = head.rpartition("=")
    if not colon or kind not in ("tcp", "ssl", "unix") or (equals and not node) or not _reachable(kind, rest):
        raise _bad(f"{entry[:80]!r} is not an OVSDB remote", _EXPECTED)
    return (node if equals else None), f"{kind}:{rest}"


def _reachable(kind: str, rest: str) -> bool:
    if kind == "unix":
        return bool(rest)
    host, _, port = rest.rpartition(":")
    return bool(host) and port.isascii() and port.isdecimal() and 0 < int(port) < 65536


def _some(names: Mapping[str, int] | list[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:_SHOWN]) + (f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")


def _bad(message: str, expected: str) -> InputError:
    return InputError(
        message,
        field="--ovsdb",
        expected=expected,
        remedy="CARELANE_OVSDB means the same; see docs/how-to/real-switches.md",
    )
