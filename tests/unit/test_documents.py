"""Documents: what YAML means here, where errors point, and what is refused before it costs anything."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from carelane.documents import MAX_BYTES, load_documents, read_documents, validate
from carelane.errors import InputError


def value(text: str) -> object:
    return load_documents(f"x: {text}")[0].value["x"]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("on", "on"),
        ("no", "no"),
        ("10:22:33:44:55:56", "10:22:33:44:55:56"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("007", "007"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("12", 12),
        ("-3", -3),
        ("0.99999", 0.99999),
        ("1e3", 1000.0),
        ("'12'", "12"),
        ("true", True),
        ("~", None),
        (".inf", ".inf"),
        ("手术室-1", "手术室-1"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_scalars_mean_what_they_look_like(text: str, meaning: object) -> None:
    assert value(text) == meaning
    assert type(value(text)) is type(meaning)


def test_every_value_knows_its_line() -> None:
    document = load_documents("a: 1\nb:\n  - x: 1\n  - x: 2\n", "f.yaml")[0]
    assert document.line_of(("b", 1, "x")) == 4
    assert document.line_of(("b", 1, "missing")) == 4
    error = document.error("wrong", ("b", 1, "x"), expected="3", remedy="write 3")
    assert str(error) == "f.yaml:4: b[1].x: wrong; expected 3; write 3"


def test_several_documents_and_empty_ones() -> None:
    documents = load_documents("---\n---\nkind: A\n---\n# nothing\n---\nkind: B\n")
    assert [(d.kind, d.line) for d in documents] == [("A", 3), ("B", 7)]


def test_aliases_are_values() -> None:
    document = load_documents("a: &x {rate: 1}\nb: *x\n")[0]
    assert document.value["b"] == {"rate": 1}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)
TOWER = f"a: &a {'[' * 20}{']' * 20}\nb: &b {'[' * 9}*a{']' * 9}\nc: [[[*b]]]\n"


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"a: b\nc: \x00\n", 2, "unprintable character U+0000"),
        ("é: é\né2: \x07\n".encode(), 2, "unprintable character U+0007"),
        (b"a: 1\nb: \xff\xfe\n", 2, "not UTF-8"),
        ("a: b".encode("utf-16"), 1, "not UTF-8"),
        (b"a:\n\tb: c\n", 2, "cannot start any token"),
        (b"a: 1\nb: 2\na: 3\n", 3, "'a' appears twice"),
        (b"a: {b: 1, b: 2}\n", 1, "'b' appears twice"),
        (b"a: 1\nb: !!python/object/apply:os.system [id]\n", 2, "tags such as"),
        (b"a: &x {b: 1}\nc:\n  <<: *x\n", 3, "merge keys"),
        (b"a: &x [*x]\n", 1, "names nothing complete before it"),
        (b"a: *nowhere\n", 1, "names nothing complete before it"),
        (b"? [a, b]\n: c\n", 1, "a key must be plain text"),
        (b"- a\n- b\n", 1, "must be a mapping"),
        (b"just text\n", 1, "must be a mapping"),
        (b"a: 1\nb: [1, 2\n", 3, "not YAML"),
        (BOMB.encode(), 7, "more than 1000000 values"),
        (b"a: {&x b: 1}\n", 1, "a key cannot have"),
        (TOWER.encode(), 3, "nested deeper than 32"),
        (b"[" * 100_000, 1, "nested deeper than 32"),
        (b"{a: " * 100_000, 1, "nested deeper than 32"),
        (b"- " * 100_000, 1, "nested deeper than 32"),
        ("".join(" " * i + "a:\n" for i in range(500)).encode(), 33, "nested deeper than 32"),
    ],
)
def test_bad_text_is_refused_at_its_line(data: bytes, line: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_documents(data, "f.yaml")
    assert (caught.value.file, caught.value.line) == ("f.yaml", line)
    assert message in caught.value.message


def test_ten_megabytes_are_refused_without_reading_them(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"a: [" + b"1," * 5_000_000 + b"]")
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="larger than 8 MiB") as caught:
            read_documents(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * MAX_BYTES
    finally:
        tracemalloc.stop()
    assert caught.value.file == str(path)
    assert caught.value.remedy


def test_many_small_values_are_refused_by_count() -> None:
    with pytest.raises(InputError, match="more than 1000000 values"):
        load_documents("a: [" + "1," * 3_000_000 + "]")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_documents(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="Is a directory"):
        read_documents(tmp_path)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rate: int
    name: str = ""


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    items: list[Inner] = Field(min_length=1, max_length=3)


@pytest.mark.parametrize(
    ("text", "line", "field", "message", "expected"),
    [
        ("items:\n- rate: 1\n- rate: 1\n  spede: 2\n", 4, "items[1].spede", "unknown field", "one of rate, name"),
        ("items:\n- rate: 1\n- name: x\n", 3, "items[1].rate", "missing", None),
        ("items: 5\n", 1, "items", "'5' does not fit here", "a list"),
        ("items:\n- rate: fast\n", 2, "items[0].rate", "'fast' does not fit here", "a whole number"),
        ("items:\n- rate: 1\n  name: 5\n", 3, "items[0].name", "'5' does not fit here", "text"),
        ("items:\n- hello\n", 2, "items[0]", "'hello' does not fit here", "a mapping"),
        ("items: []\n", 1, "items", "nothing is listed", "1 at least"),
        ("items:\n" + 4 * "- rate: 1\n", 1, "items", "4 entries", "3 at most"),
    ],
)
def test_models_report_field_and_line(text: str, line: int, field: str, message: str, expected: str | None) -> None:
    with pytest.raises(InputError) as caught:
        validate(load_documents(text, "f.yaml")[0], Outer)
    error = caught.value
    assert (error.file, error.line, error.field, error.message) == ("f.yaml", line, field, message)
    assert error.expected == expected


def test_the_first_fault_by_line_is_reported_and_the_rest_counted() -> None:
    with pytest.raises(InputError) as caught:
        validate(load_documents("items:\n- rate: x\n- rate: y\nextra: 1\n")[0], Outer)
    assert caught.value.line == 2
    assert "2 more faults" in str(caught.value.remedy)
    with pytest.raises(InputError, match="1 more fault in"):
        validate(load_documents("items:\n- rate: x\n- rate: y\n")[0], Outer)
