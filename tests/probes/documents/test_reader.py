"""YAML is read by its version 1.2, safely, and once for every kind of file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tidegauge_probes import load, run
from tidegauge_probes.documents import reader
from tidegauge_probes.documents.core_schema import dump
from tidegauge_probes.documents.reader import FromVariable, read_file, read_json, read_yaml
from tidegauge_probes.errors import DocumentError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def refused(text: str | bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        read_yaml(text, "f.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    "word", ["NO", "no", "yes", "Yes", "on", "off", "y", "N", "1:30", "190:20:30", "1_000", "0b11"]
)
def test_what_yaml_1_1_took_for_something_else_is_a_text(word: str) -> None:
    assert read_yaml(f"one_of: [{word}, SE]", "f.yaml") == {"one_of": [word, "SE"]}
    assert read_yaml(f"{word}: 1", "f.yaml") == {word: 1}


@pytest.mark.parametrize("date", ["2026-01-01", "2026-02-30", "2026-01-01 00:00:00"])
def test_dates_stay_texts(date: str) -> None:
    assert read_yaml(f"from: {date}", "f.yaml") == {"from": date}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0o17", 15), ("0x1F", 31), ("-12", -12), ("+3", 3), ("0", 0), ("1e3", 1000.0),
        (".5", 0.5), ("-4.", -4.0), ("0.5", 0.5), ("-.INF", -math.inf), ("True", True),
        ("FALSE", False), ("~", None), ("", None), ("null", None), ("!!str 12", "12"),
        ("!!int 12", 12), ("'12'", "12"), ('"no"', "no"), ("!!str", ""),
    ],
)  # fmt: skip
def test_scalars_are_those_of_the_core_schema(written: str, value: Any) -> None:
    found = read_yaml(f"a: {written}", "f.yaml")["a"]
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("written", ["01234", "-007", "00", "00.5", "08"])
def test_a_number_with_a_leading_zero_must_be_quoted(written: str) -> None:
    said = refused(f"a: 1\nzip: [{written}]\n")
    assert said.startswith("f.yaml, line 2, column 7: ")
    assert "quote it if it is a string" in said
    assert read_yaml(f"zip: '{written}'", "f.yaml") == {"zip": written}


@pytest.mark.parametrize("key", ["keyword", "'keyword'", '"keyword"', "!!str keyword"])
def test_a_key_that_is_there_twice_is_refused_with_both_lines(key: str) -> None:
    said = refused(f"name: a\nkeyword: {{any: [x]}}\nlabel: 1\n{key}: {{any: [y]}}\n")
    assert said == "f.yaml, line 4, column 1: the key 'keyword' is already on line 2: keep one"


def test_keys_that_python_takes_for_one_are_refused() -> None:
    assert "already on line 1" in refused("1: a\n1.0: b\n")
    assert "already on line 1" in refused("1: a\ntrue: b\n")


def bomb(levels: int = 9) -> str:
    first = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    each = (f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, levels))
    return first + "".join(each)


def test_aliases_cannot_stand_for_more_than_a_document_may_hold() -> None:
    assert read_yaml(bomb(3), "f.yaml")["a2"][8][8][8] == "x"
    assert "aliases up to here expand to more than" in refused(bomb(9))
    assert "aliases" in refused("a: &a [x]\nb: [" + ", ".join(["*a"] * 6_000) + "]")


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "a: *b\nb: &b 1"])
def test_an_alias_needs_a_complete_value_before_it(text: str) -> None:
    assert "there is no complete value &" in refused(text)


def test_depth_is_bounded_for_brackets_lines_and_aliases() -> None:
    assert read_yaml("[" * 100 + "]" * 100, "f.yaml")
    assert "nested more than 100 levels" in refused("[" * 101 + "]" * 101)
    assert "nested more than 100 levels" in refused("[" * 500_000)
    assert "nested more than 100 levels" in refused("- " * 500_000)
    deep = "a: &a " + "[" * 60 + "]" * 60 + "\nb: " + "[" * 60 + "*a" + "]" * 60
    assert "nests more than 100 levels" in refused(deep)


def test_size_is_bounded_before_a_file_is_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MAX_BYTES", 2**20)
    path = tmp_path / "large.yaml"
    path.write_bytes(b"a: " + b"x" * 2**20)
    with pytest.raises(DocumentError, match="is larger than 1 MiB"):
        read_file(path)
    with pytest.raises(DocumentError, match="is larger than 1 MiB"):
        read_file(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: !!python/object/apply:os.system [x]", "column 4: the tag !!python/object/apply:os"),
        ("a: !!binary aGk=", "the tag !!binary"),
        ("a: !!timestamp 2026-01-01", "the tag !!timestamp"),
        ("a: !!int x", "the tag !!int is unsupported or does not match the value"),
        ("<<: {a: 1}", "no merge key"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: a second document"),
        ("%YAML 1.1\n---\na: no\n", "remove the %YAML line"),
        ("? [a]\n: 1", "a key must be"),
        ("a:\n\t- b", "line 2, column 1: .* Indent with spaces"),
        ("a: b: c", "line 1, column 5: .* Quote strings that contain"),
        ("a: {url: ${HOOK}}", r"line 1, .* Quote a variable"),
        ("a: 1e999", "too large for a number"),
        (f"a: {'9' * 5_000}", "too long for a number"),
        ("a: [", "line 1, column 5|line 2, column 1"),
        ("a: \x07", "is not valid YAML"),
        (b"ok: 1\nname: \xff\n", "f.yaml is not valid YAML: line 2 is not UTF-8"),
    ],
)
def test_what_is_not_read_says_where_and_what_to_do(text: str | bytes, says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        read_yaml(text, "f.yaml")


def test_empty_documents_are_none() -> None:
    assert [read_yaml(text, "f.yaml") for text in ("", "# only a comment\n", "---\n", "~")] == (
        [None] * 4
    )


@given(VALUES)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert read_yaml(dump(value), "f.yaml") == value


@given(st.text(alphabet="0123456789.:-+_exoNnYyfFaslt~", min_size=1, max_size=8))
def test_written_texts_are_texts_to_readers_of_yaml_1_1_and_1_2(text: str) -> None:
    written = dump([text])
    assert read_yaml(written, "f.yaml") == [text]
    assert yaml.safe_load(written) == [text]


@given(VALUES)
def test_json_is_read_as_json_is_and_as_yaml(value: Any) -> None:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    except ValueError:  # infinite
        return
    assert read_json(text, "f.json") == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1, "a": 2}', "f.json: duplicate key 'a'"),
        ('{"b": [{"a": 1, "a": 1}]}', "duplicate key 'a'"),
        ('{"a": NaN}', "NaN is not valid JSON"),
        ("[" * 101 + "]" * 101, "nested more than 100 levels"),
        ("[" * 200_000, "nested more than 100 levels"),
        ('{"a":\n }', "f.json, line 2, column 2: not valid JSON"),
    ],
)
def test_json_is_read_as_strictly(text: str, says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        read_json(text, "f.json")


def test_a_json_file_may_hold_what_json_writes(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text(json.dumps({"any": ["😀"]}), encoding="ascii")  # a pair of \ud83d\ude00
    assert read_file(path) == {"any": ["😀"]}


def test_a_probe_file_of_country_codes_keeps_norway(tmp_path: Path) -> None:
    (tmp_path / "probes.yaml").write_text(
        "classes: [NO, YES]\n"
        "probes:\n"
        "  - {name: nordic, label: NO, categorical: {field: country, one_of: [NO, SE]}}\n"
    )
    probe_set = load("probes.yaml", tmp_path)
    assert probe_set.classes == ("NO", "YES")
    votes = run(probe_set, [{"country": country} for country in ("NO", "SE", "DK")]).outcomes
    assert votes[:, 0].tolist() == [0, 0, -1]


def test_a_text_of_a_variable_shows_as_it_was_written() -> None:
    text = FromVariable("hunter2", "${PASSWORD}")
    assert text == "hunter2"
    assert repr([text]) == "['${PASSWORD}']"
