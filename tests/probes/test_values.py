"""Templates that look at values as a whole, and votes that are in the record already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from tidegauge_probes import ABSTAIN, ERROR, ProbeSet, engine, load
from tidegauge_probes.errors import ProbeError
from tidegauge_probes.labeling.loading import load_file, schema
from tidegauge_probes.labeling.templates import TemplateSpec
from tidegauge_probes.labeling.voters import VoterProbe, VoterSpec

YES = 1


def spec(**condition: Any) -> TemplateSpec:
    return TemplateSpec.model_validate({"name": "lf", "label": 1, **condition})


def votes(probe: Any, values: list[Any], field: str = "f") -> list[int]:
    records = [{} if value is ... else {field: value} for value in values]
    matrix = engine.run(ProbeSet.of([probe], classes=["HAM", "SPAM"]), records)
    found: list[int] = matrix.outcomes[:, 0].tolist()
    return found


def reasons(probe: Any, values: list[Any]) -> list[tuple[str, str]]:
    records = [{} if value is ... else {"f": value} for value in values]
    faults = engine.run(ProbeSet.of([probe], classes=["HAM", "SPAM"]), records).faults
    return [(fault.type, fault.message) for fault in faults]


def test_categorical_is_one_of_some() -> None:
    probe = spec(categorical={"field": "f", "one_of": ["DE", 1, True]})
    values = ["DE", "de", 1, 1.0, True, False, 0, None, ..., ["DE"]]
    assert votes(probe, values) == [
        *[YES, ABSTAIN, YES, YES, YES, ABSTAIN, ABSTAIN, ABSTAIN],
        *[ERROR, ERROR],
    ]
    only_one = spec(categorical={"field": "f", "one_of": [1]})
    assert votes(only_one, [True, 1]) == [ABSTAIN, YES], "true is not 1"


def test_categorical_is_none_of_some() -> None:
    probe = spec(categorical={"field": "f", "none_of": ["DE", "FR"]})
    assert votes(probe, ["DE", "US", 3, None, {}]) == [ABSTAIN, YES, YES, ABSTAIN, ERROR]


def test_lookup_is_in_a_list() -> None:
    probe = spec(lookup={"field": "f", "values": ["Acme ", "Üx"]})
    assert votes(probe, ["acme", " ACME\n", "ÜX", "acme inc", "", None, 5]) == [
        *[YES, YES, YES, ABSTAIN, ABSTAIN, ABSTAIN],
        ERROR,
    ]
    exact = spec(lookup={"field": "f", "values": ["Acme"], "case": True})
    assert votes(exact, ["Acme", "acme"]) == [YES, ABSTAIN]


def write(folder: Path, probes: list[dict[str, Any]], **more: Any) -> Path:
    path = folder / "probes.yaml"
    path.write_text(yaml.safe_dump({"classes": ["HAM", "SPAM"], "probes": probes, **more}))
    return path


def test_a_lookup_file_is_part_of_what_the_probe_set_is(tmp_path: Path) -> None:
    listed = {"lookup": {"field": "f", "file": "bad.txt"}}
    nested = {"name": "lf", "label": "SPAM", "all": [listed, {"not": {"missing": {"field": "f"}}}]}
    path = write(tmp_path, [nested], slices=[{"name": "bad", **listed}])
    (tmp_path / "bad.txt").write_text("# who\nevil.example\n\n  worse.example\n")
    first = load_file(path)
    matrix = engine.run(first, [{"f": "Evil.example"}, {"f": "worse.example"}, {"f": "# who"}])
    assert matrix.outcomes[:, 0].tolist() == [YES, YES, ABSTAIN]
    assert matrix.segments[:, 0].tolist() == [True, True, False]
    (tmp_path / "bad.txt").write_text("evil.example\n")
    assert load_file(path).id != first.id
    (tmp_path / "bad.txt").unlink()
    with pytest.raises(ProbeError, match=r"cannot read the lookup file .*bad\.txt"):
        load_file(path)


def test_only_a_file_may_name_files() -> None:
    probe = spec(lookup={"field": "f", "file": "bad.txt"})
    with pytest.raises(ProbeError, match=r"only a ProbeSet's file can refer to files"):
        votes(probe, ["x"])


def voter(**keys: Any) -> VoterSpec:
    return VoterSpec.model_validate({"name": "legacy", **keys})


def test_an_external_vote_is_passed_on() -> None:
    where = {"field": "f", "votes": {"block": "SPAM", "pass": "HAM", "2": 1}, "abstains": ["?"]}
    probe = voter(external=where)
    values = ["block", "pass", 2, "?", None, "new", ..., ["block"], True]
    assert votes(probe, values) == [1, 0, 1, ABSTAIN, ABSTAIN, ERROR, ERROR, ERROR, ERROR]
    assert reasons(probe, ["new", ...]) == [
        ("unknown_value", "'f' is 'new', not one of 2, ?, block, pass"),
        ("missing_field", "the record has no field 'f'"),
    ]


def test_a_prediction_has_the_names_of_the_classes(tmp_path: Path) -> None:
    path = write(tmp_path, [{"name": "model", "prediction": {"field": "model.label"}}])
    [probe] = load(str(path)).probes
    assert isinstance(probe, VoterProbe)
    assert probe.deployed
    assert probe.labels == (0, 1)
    nested: list[dict[str, Any]] = [{"model": {"label": "SPAM"}}, {"model": {"label": None}}]
    assert engine.run(load(str(path)), nested).outcomes[:, 0].tolist() == [1, ABSTAIN]


def test_what_it_means_is_part_of_what_the_probe_set_is() -> None:
    ids = {
        ProbeSet.of([voter(**{kind: {"field": "f", **keys}})], classes=["HAM", "SPAM"]).id
        for kind in ("external", "prediction")
        for keys in ({}, {"votes": {"x": "SPAM"}}, {"votes": {"x": "HAM"}}, {"abstains": ["x"]})
    }
    assert len(ids) == 8


def test_a_class_that_there_is_not_is_named() -> None:
    with pytest.raises(ProbeError, match="unknown label 'SPAN'; did you mean 'SPAM'"):
        votes(voter(external={"field": "f", "votes": {"x": "SPAN"}}), [])


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"external": {"field": "f"}, "prediction": {"field": "f"}},
        {"external": {"votes": {}}},
    ],
)
def test_a_voter_needs_one_place_to_look_at(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        voter(**keys)


@pytest.mark.parametrize(
    "condition",
    [
        {"categorical": {"field": "f"}},
        {"categorical": {"one_of": ["a"], "none_of": ["b"]}},
        {"lookup": {"field": "f"}},
        {"lookup": {"values": ["a"], "file": "b"}},
        {"lookup": {"values": []}},
    ],
)
def test_keys_that_do_not_fit_are_refused(condition: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spec(**condition)


def test_the_json_schema_knows_them() -> None:
    file = {
        "classes": ["HAM", "SPAM"],
        "probes": [
            {"name": "a", "label": "SPAM", "categorical": {"field": "f", "one_of": ["x", 3]}},
            {"name": "b", "label": "SPAM", "lookup": {"field": "f", "file": "f.txt"}},
            {"name": "c", "external": {"field": "f", "votes": {"x": "HAM"}}},
            {"name": "d", "prediction": {"field": "f"}},
        ],
    }
    jsonschema.validate(file, schema())
    file["probes"] = [{"name": "d", "prediction": {"feld": "f"}}]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(file, schema())
