"""Whatever arrives as a topology, a snapshot comes out whose parts fit together, or an InputError does."""

from __future__ import annotations

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from carelane.errors import InputError
from carelane.topology import Topology, parse_topology, summarize

NAMES = st.sampled_from(["a", "b", "c", "a b", "", "手", 7, None, "x" * 200])
FIGURES: st.SearchStrategy[object] = st.sampled_from(
    ["1Gbps", "0Gbps", "10km", "1ms", "4h", 0.9, "99%", 2, -1, None, "x", [], {}, True, "10.0.0.1", "02:00:00:00:00:01"]
)
FIELDS = st.sampled_from(
    ["capacity", "delay", "length", "availability", "mtbf", "mttr", "loss", "riskGroups", "aPort", "bPort", "port",
     "dpid", "site", "lat", "lon", "address", "mac", "tenant", "kind", "spare"]
)  # fmt: skip


def item(**wanted: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    extra = st.dictionaries(FIELDS, FIGURES, max_size=3)
    return st.builds(lambda base, more: {**more, **base}, st.fixed_dictionaries(wanted), extra)


MANIFESTS = st.fixed_dictionaries(
    {
        "apiVersion": st.just("carelane/v1"),
        "kind": st.just("Topology"),
        "metadata": st.fixed_dictionaries({"name": NAMES}),
        "spec": st.fixed_dictionaries(
            {"nodes": st.lists(item(id=NAMES), max_size=4)},
            optional={
                "links": st.lists(item(id=NAMES, a=NAMES, b=NAMES), max_size=4) | FIGURES,
                "endpoints": st.lists(item(id=NAMES, node=NAMES), max_size=3) | FIGURES,
                "riskGroups": st.lists(item(id=NAMES), max_size=2) | FIGURES,
            },
        ),
    }
)
XML_PIECES = st.lists(
    st.sampled_from(
        ["<graphml>", "</graphml>", '<graph edgedefault="undirected">', "</graph>", '<node id="a"/>', '<node id="b">',
         "</node>", '<edge source="a" target="b"/>', '<edge source="a" target="a">', "</edge>", '<data key="k">',
         "</data>", '<key id="k" attr.name="LinkSpeedRaw"/>', '<key id="l" attr.name="Latitude"/>',
         "1e9", "-1", "nan", "&amp;",
         "&x;", "<![CDATA[x]]>", "<!-- x -->", "<?pi?>", "<!DOCTYPE x>", "\x00", "é", "<",
         '<?xml version="1.0" encoding="x"?>']
    ),
    max_size=25,
).map("".join)  # fmt: skip


def fits_together(topology: Topology) -> None:
    for link in topology.links.values():
        assert link.a in topology.nodes
        assert link.b in topology.nodes
        assert link.a != link.b
        assert link.capacity_bps is None or link.capacity_bps > 0
        assert link.delay_s is None or link.delay_s >= 0
        assert link.availability is None or 0 <= link.availability <= 1
    for endpoint in topology.endpoints.values():
        assert endpoint.node in topology.nodes
    summarize(topology)


def survives(data: bytes | str, file: str) -> None:
    try:
        topology = parse_topology(data, file)
    except InputError as refusal:
        error = refusal
    else:
        fits_together(topology)
        return
    assert error.file == file
    assert error.message


@settings(max_examples=400, deadline=None)
@given(MANIFESTS)
def test_manifests_of_odd_parts(manifest: dict[str, object]) -> None:
    survives(yaml.safe_dump(manifest, allow_unicode=True), "f.yaml")


@settings(max_examples=300, deadline=None)
@given(XML_PIECES)
def test_xml_of_odd_parts(text: str) -> None:
    survives(text, "f.graphml")


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from(["f.yaml", "f.graphml"]), st.sampled_from([b"", b"<", b"\xff\xfe<\x00"])
)
def test_any_bytes(data: bytes, file: str, start: bytes) -> None:
    survives(start + data, file)


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(), max_size=60), st.sampled_from(["f.yaml", "f.graphml"]))
def test_any_text_surrogates_included(text: str, file: str) -> None:
    survives(text + "\ud800", file)
    survives(text, file)
