"""Whatever bytes arrive, documents come out or an InputError naming the file does."""

from __future__ import annotations

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from carelane.documents import load_documents
from carelane.errors import InputError

YAML_PIECES = st.lists(
    st.sampled_from(
        ["a", "b", ": ", "- ", "\n", "  ", "{", "}", "[", "]", ",", "&x ", "*x", "<<", "!!str ", "|", ">", "'", '"',
         "#", "---\n", "...\n", "? ", "\t", "%YAML 1.2\n", "1e400", "0x", "~", "\\", "\0", "\x85", "é", "￾"]
    ),
    max_size=60,
).map("".join)  # fmt: skip


def survives(data: bytes | str) -> None:
    try:
        documents = load_documents(data, "f.yaml")
    except InputError as refusal:
        error = refusal
    else:
        assert all(isinstance(document.value, dict) for document in documents)
        return
    assert error.file == "f.yaml"
    assert error.message
    assert error.expected or error.remedy or error.line is not None


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=300))
@example(b"\xef\xbb\xbfa: 1")
@example(b"\xed\xa0\x80")
def test_any_bytes(data: bytes) -> None:
    survives(data)


@settings(max_examples=400, deadline=None)
@given(YAML_PIECES)
@example("\ud800")
@example("&a " * 5000)
@example(":" * 100_000)
@example("a: " * 100_000)
@example("%" * 100)
@example('a: "' + "x" * 1_000_000)
def test_any_arrangement_of_yaml_pieces(text: str) -> None:
    survives(text)


# Control characters and Unicode line breaks in keys are beyond PyYAML's own writer.
PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=12)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**20), 10**20) | PRINTABLE,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PRINTABLE, inner, max_size=3),
        max_leaves=12,
    )
)
@settings(deadline=None)
def test_what_pyyaml_writes_is_read_back(value: object) -> None:
    [document] = load_documents(yaml.safe_dump({"value": value}, allow_unicode=True))
    assert document.value == {"value": value}
