from __future__ import annotations

import copy
import json
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tidegauge_probes import ProbeError, ProbeSet, engine, load
from tidegauge_probes.labeling import loading
from tidegauge_probes.labeling.templates import CONDITIONS

REPOSITORY = Path(__file__).resolve().parents[3]
DEMO = REPOSITORY / "service" / "tidegauge_service" / "demo" / "probes.yaml"
MODULES = count()

GOOD = """\
classes: [HAM, SPAM]
probes:
  - {name: pills, label: SPAM, keyword: {any: [pills]}}
  - {name: short, label: 0, length: {below: 5}}
slices:
  - {name: asks, regex: {pattern: "[?]"}}
"""

LFS = """\
from tidegauge_probes import ProbeSet, labeling_function, slicing_function

@labeling_function()
def pills(x):
    return 1 if "pills" in x.text else -1

@labeling_function()
def short(x):
    return 0 if len(x.text) < 5 else -1

@slicing_function()
def asks(x):
    return "?" in x.text

ONE, MANY, WITH_SLICE = pills, [pills, short], (pills, asks)
PROBES = ProbeSet.of([pills, short], classes=["HAM", "SPAM"], slices=[asks])
FOREIGN = ProbeSet.of([pills], classes=["SPAM", "HAM"])
NUMBER = 7
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str, name: str = "probes.yaml") -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Write LFs beside the file; each test under a name of its own, since imports are kept."""
    monkeypatch.setattr("sys.path", [*sys.path])
    name = f"lfs_of_a_test_{next(MODULES)}"
    (tmp_path / f"{name}.py").write_text(LFS, encoding="utf-8")
    yield name
    sys.modules.pop(name, None)


def names(probe_set: ProbeSet) -> list[str]:
    return [probe.name for probe in probe_set.probes]


def outcomes(probe_set: ProbeSet, *texts: str) -> list[list[int]]:
    found: list[list[int]] = engine.run(probe_set, [{"text": t} for t in texts]).outcomes.tolist()
    return found


# -- YAML -------------------------------------------------------------------------------------


def test_a_file_becomes_a_probe_set(write: Any) -> None:
    probe_set = load(write(GOOD))
    assert names(probe_set) == ["pills", "short"]
    assert probe_set.classes == ("HAM", "SPAM")
    assert outcomes(probe_set, "pills?", "no") == [[1, -1], [-1, 0]]
    segments = engine.run(probe_set, [{"text": "pills?"}, {"text": "no"}]).segments
    assert segments[:, 0].tolist() == [True, False]


def test_json_and_yaml_of_one_content_have_one_id(write: Any, tmp_path: Path) -> None:
    as_json = json.dumps(yaml.safe_load(GOOD))
    write(as_json, "probes.json")
    assert load("probes.json", tmp_path).id == load(write(GOOD)).id


def test_a_relative_path_is_beside_what_names_it(write: Any, tmp_path: Path) -> None:
    write(GOOD)
    assert names(load("probes.yaml", base=tmp_path)) == ["pills", "short"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("any: [pills]", "any: [pills], whole_wrd: true", "did you mean 'whole_word'"),
        ("keyword:", "keywrd:", "keywrd: unknown key; did you mean 'keyword'"),
        ("label: SPAM", "lable: SPAM", "did you mean 'label'"),
        ("label: SPAM,", "", "label: required key is missing"),
        ("label: SPAM", "label: SPAN", "'pills': unknown label 'SPAN'; did you mean 'SPAM'"),
        ("label: SPAM", "label: 2", "'pills': unknown label 2; known: HAM, SPAM"),
        (", keyword: {any: [pills]}", "", "give exactly one of keyword, regex, .*not .found none"),
        ("keyword:", "missing: {}, keyword:", "found keyword and missing"),
        ('"[?]"', '"[?"', "probe 'asks'.*\n.*not a regular expression"),
        ("any: [pills]", "any: [1]", r"must be a string \(got 1\)"),
        ("name: short", "name: pills", "duplicate labeling function 'pills'"),
        ("[HAM, SPAM]", "[HAM, HAM, SPAM]", "duplicate class name 'HAM'"),
        ("[HAM, SPAM]", "[SPAM]", "classes: .*at least 2 items"),
        ("slices:", "slizes:", "slizes: unknown key; did you mean 'slices'"),
        ("name: asks", "name: channel=mail", "names with '=' are reserved for other segments"),
        ("any: [pills]", "any: [01234]", r"probes\.yaml, line .*has a leading zero: quote it"),
        ("any: [pills]", "any: [pills], any: [x]", r"line 3, column .*'any' is already on line 3"),
        ("classes", "\tclasses", "not valid YAML"),
        ("probes:", "probes: [a]\nolder:", "unknown key"),
        ('{name: asks, regex: {pattern: "[?]"}}', "asks", "slices.0: .*got 'asks'"),
        (
            "{below: 5}",
            "{field: text}",
            "probe 'short'.*\n.*give at least one of above",
        ),
        ("length: {below: 5}", "not: {all: [{lenth: {}}]}", "lenth: unknown key.*'length'"),
    ],
)
def test_errors_name_file_place_and_mend(write: Any, old: str, new: str, says: str) -> None:
    assert old in GOOD
    path = write(GOOD.replace(old, new, 1))
    with pytest.raises(ProbeError, match=f"(?s){says}") as error:
        load(path)
    assert str(error.value).count(path) == 1


@pytest.mark.parametrize("content", ["", "# nothing\n", "[]", "a", "classes: [A, B]\nprobes: []\n"])
def test_a_file_without_probes_is_refused(write: Any, content: str) -> None:
    path = write(content)
    with pytest.raises(ProbeError, match="is not valid"):
        load(path)


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=r"cannot read the ProbeSet .*gone.yaml: No such file"):
        load("gone.yaml", tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ProbeError, match="is not valid YAML"):
        load("binary.yaml", tmp_path)
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ProbeError, match="cannot read"):
        load("folder.yaml", tmp_path)


# -- Python -----------------------------------------------------------------------------------


def test_python_lfs_come_by_import_path(module: str, tmp_path: Path) -> None:
    probe_set = load(f"{module}:PROBES", tmp_path)
    assert outcomes(probe_set, "pills", "no") == [[1, -1], [-1, 0]]
    listed = load(f"{module}:MANY", tmp_path)
    assert names(listed) == ["pills", "short"]
    assert listed.classes == ("0", "1")


def test_slicing_functions_in_a_list_are_slices(module: str, tmp_path: Path) -> None:
    probe_set = load(f"{module}:WITH_SLICE", tmp_path)
    assert names(probe_set) == ["pills"]
    assert [piece.name for piece in probe_set.slices] == ["asks"]


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("{module}:PROBE", "has no 'PROBE'; did you mean 'PROBES'"),
        ("{module}:NUMBER", "is of type int: make it a ProbeSet or a list of LFs"),
        ("{module}:", "neither a .yaml or .json file nor of the form module:attribute"),
        ("probes", "neither a .yaml or .json file nor of the form module:attribute"),
        ("no_such_module:LFS", "cannot import 'no_such_module': ModuleNotFoundError"),
        ("breaks:LFS", "cannot import 'breaks': ZeroDivisionError: division by zero"),
    ],
)
def test_a_wrong_reference_says_why(module: str, tmp_path: Path, reference: str, says: str) -> None:
    (tmp_path / "breaks.py").write_text("1 / 0\n", encoding="utf-8")
    with pytest.raises(ProbeError, match=says):
        load(reference.format(module=module), tmp_path)


def test_python_and_templates_mix(write: Any, module: str) -> None:
    python = f"probes:\n  - python: {module}:ONE\n  - python: {module}:MANY\n"
    text = GOOD.replace("probes:\n", python).replace("name: pills", "name: template")
    with pytest.raises(ProbeError, match="duplicate labeling function 'pills'"):
        load(write(text))
    text = text.replace(f"  - python: {module}:ONE\n", "").replace("name: short", "name: brief")
    probe_set = load(write(text))
    assert names(probe_set) == ["pills", "short", "template", "brief"]
    assert outcomes(probe_set, "pills", "no") == [[1, -1, 1, -1], [-1, 0, -1, 0]]


def test_a_python_probe_set_gives_its_lfs_and_its_slices(write: Any, module: str) -> None:
    text = f"classes: [HAM, SPAM]\nprobes: [{{python: '{module}:PROBES'}}]\n"
    probe_set = load(write(text + f"slices: [{{python: '{module}:PROBES'}}]\n"))
    assert names(probe_set) == ["pills", "short"]
    assert [piece.name for piece in probe_set.slices] == ["asks"]


def test_a_python_list_gives_its_lfs_or_its_slices(write: Any, module: str) -> None:
    text = f"classes: [HAM, SPAM]\nprobes: [{{python: '{module}:WITH_SLICE'}}]\n"
    assert load(write(text)).slices == ()
    probe_set = load(write(text + f"slices: [{{python: '{module}:WITH_SLICE'}}]\n"))
    assert names(probe_set) == ["pills"]
    assert [piece.name for piece in probe_set.slices] == ["asks"]


def test_a_python_probe_set_of_other_classes_is_refused(write: Any, module: str) -> None:
    text = f"classes: [HAM, SPAM]\nprobes: [{{python: '{module}:FOREIGN'}}]\n"
    with pytest.raises(ProbeError, match=r"for the classes SPAM, HAM, but this file for HAM, SPAM"):
        load(write(text))


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("{python: 'MODULE:NUMBER'}", "7 is not a labeling function, as it is not callable"),
        ("{python: 'MODULE:ONE', label: SPAM}", "label: unknown key"),
        ("{python: 'MODULE:ONCE'}", "did you mean 'ONE'"),
        ("{python: 3}", "python: must be a string"),
    ],
)
def test_a_wrong_python_entry_names_the_file(
    write: Any, module: str, entry: str, says: str
) -> None:
    path = write(f"classes: [A, B]\nprobes: [{entry.replace('MODULE', module)}]\n")
    with pytest.raises(ProbeError, match=says) as error:
        load(path)
    assert path in str(error.value)


# -- JSON Schema ------------------------------------------------------------------------------


def accepts(document: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(loading.schema()).is_valid(document))


def test_the_schema_is_valid_and_accepts_what_we_ship() -> None:
    jsonschema.Draft202012Validator.check_schema(loading.schema())
    shipped = [DEMO, *(REPOSITORY / "examples").rglob("probes*.yaml")]
    for path in shipped:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert accepts(document), path
        assert load(str(path)).probes, path


def template(**keys: Any) -> dict[str, Any]:
    return {"classes": ["HAM", "SPAM"], "probes": [{"name": "a", "label": 1, **keys}]}


def loads(document: Any, folder: Path) -> bool:
    """Whether the shape of a file is accepted; what it says may still be wrong."""
    path = folder / "made.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    try:
        load(str(path))
    except ProbeError as error:
        beyond = (
            "not a regular expression",
            "duplicate",
            "unknown label",
            "cannot read the lookup",
        )
        return any(text in str(error) for text in beyond)
    return True


FULL: dict[str, Any] = {
    "classes": ["HAM", "SPAM"],
    "probes": [
        template(keyword={"field": "text", "all": ["a"], "case": True})["probes"][0],
        template(name="b", regex={"pattern": "a", "on_null": "error"})["probes"][0],
        template(name="c", label="SPAM", numeric={"above": 1, "below": 2.5})["probes"][0],
        template(name="d", description="D", length={"unit": "words", "equals": 1})["probes"][0],
        template(name="e", categorical={"one_of": ["a", 1, True]})["probes"][0],
        template(name="f", lookup={"values": ["a"]})["probes"][0],
        template(
            name="g", all=[{"missing": {}}, {"any": [{"is_null": {}}, {"not": {"missing": {}}}]}]
        )["probes"][0],
        {"name": "h", "external": {"field": "v", "votes": {"x": "SPAM"}, "abstains": ["y"]}},
        {"name": "i", "prediction": {"field": "v"}},
    ],
    "slices": [{"name": "s", "missing": {}}],
}

BAD: list[Any] = [
    {},
    [],
    "text",
    template(),
    template(missing={}, is_null={}),
    template(keyword={}),
    template(keyword={"any": ["a"], "all": ["b"]}),
    template(keyword={"any": []}),
    template(keyword={"any": [""]}),
    template(keyword={"any": ["a"], "x": 1}),
    template(keyword={"any": ["a"], "case": "yes"}),
    template(keywrd={"any": ["a"]}),
    template(not_={"missing": {}}),
    template(numeric={"field": "n"}),
    template(numeric={"above": "1"}),
    template(numeric={"above": True}),
    template(numeric={"above": None}),
    template(length={"above": 1, "unit": "lines"}),
    template(regex={}),
    template(regex={"pattern": "a", "on_null": "abstain"}),
    template(missing={"on_null": "error"}),
    template(categorical={"one_of": [None]}),
    template(lookup={"values": ["a"], "file": "b"}),
    template(all=[]),
    template(any=[{"missing": {}, "not": {"missing": {}}}]),
    template(label=None, missing={}),
    template(label=True, missing={}),
    template(name="", missing={}),
    template(name="n" * 201, missing={}),
    template(missing={}) | {"classes": ["ONE"]},
    template(missing={}) | {"classes": ["ONE", "ONE"]},
    template(missing={}) | {"classes": [0, 1]},
    template(missing={}) | {"classes": [str(n) for n in range(121)]},
    template(missing={}) | {"slices": None},
    template(missing={}) | {"slices": [{"name": "s", "label": 1, "missing": {}}]},
    template(missing={}) | {"extra": 1},
    {"classes": ["HAM", "SPAM"], "probes": []},
    {"classes": ["HAM", "SPAM"], "probes": [{"name": "v", "external": {}}]},
    {"classes": ["HAM", "SPAM"], "probes": [{"python": "a:B", "label": 1}]},
    {
        "classes": ["HAM", "SPAM"],
        "probes": [{"name": "v", "external": {"field": "a"}, "prediction": {"field": "a"}}],
    },
]


def test_both_accept_a_file_of_all_templates(tmp_path: Path) -> None:
    assert loads(FULL, tmp_path)
    assert accepts(FULL)
    used = {key for probe in FULL["probes"] for key in probe}
    assert used >= {
        name for name in CONDITIONS if name not in {"any", "not_", "missing", "is_null"}
    }
    assert accepts(template() | {"probes": [{"python": "lfs:PROBES"}]})


@pytest.mark.parametrize("document", BAD, ids=str)
def test_both_refuse_a_bad_file(document: Any, tmp_path: Path) -> None:
    with pytest.raises(ProbeError):
        load(_written(document, tmp_path))
    assert not accepts(document)


def _written(document: Any, folder: Path) -> str:
    path = folder / "bad.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return str(path)


VALUES: list[Any] = [None, True, 0, 1.5, -1, "a", "", "text", [], ["a"], [0], {}, {"field": "a"}]
KEYS = ["any", "all", "not", "case", "field", "name", "label", "unit", "above", "missing", "one_of"]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths to all parts of a document."""
    yield path
    inner = value if isinstance(value, dict) else range(len(value) if type(value) is list else 0)
    for key in inner:
        yield from places(value[key], (*path, key))


PLACES = list(places(FULL))[1:]


@given(st.sampled_from(PLACES), st.sampled_from(["drop", "replace", "add"]), st.data())
def test_schema_and_loading_refuse_the_same_shapes(
    path: tuple[Any, ...], change: str, data: st.DataObject
) -> None:
    """One part of a good file is left out, made something else, or given a key more."""
    document: Any = copy.deepcopy(FULL)
    owner = document
    for key in path[:-1]:
        owner = owner[key]
    if change == "drop":
        del owner[path[-1]]
    elif change == "replace":
        owner[path[-1]] = data.draw(st.sampled_from(VALUES))
    elif isinstance(owner, dict):
        owner[data.draw(st.sampled_from(KEYS))] = data.draw(st.sampled_from(VALUES))
    with tempfile.TemporaryDirectory() as folder:
        assert loads(document, Path(folder)) == accepts(document), document


def test_the_command_prints_the_schema() -> None:
    # Here, so that the other tests run where only the probes are installed.
    from typer.testing import CliRunner

    from tidegauge_service.cli.main import app

    printed = CliRunner().invoke(app, ["probes", "schema"])
    assert json.loads(printed.stdout) == loading.schema()


@pytest.mark.parametrize("deed", ["import sys; sys.exit(0)", "raise BaseException('no')"])
def test_a_module_that_ends_while_it_is_imported_is_refused_in_words(
    tmp_path: Path, deed: str
) -> None:
    (tmp_path / "ending_lfs.py").write_text(deed)
    with pytest.raises(ProbeError, match="cannot import 'ending_lfs'"):
        load("ending_lfs:LFS", tmp_path)


def test_a_module_that_exits_is_said_to_exit(tmp_path: Path) -> None:
    (tmp_path / "leaving_lfs.py").write_text("import sys; sys.exit(3)")
    with pytest.raises(ProbeError, match=r"exits during import \(sys.exit with 3\)") as caught:
        load("leaving_lfs:LFS", tmp_path)
    assert "run this where" not in str(caught.value)
