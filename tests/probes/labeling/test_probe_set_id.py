"""The id of a ProbeSet: equal content, equal id; whatever changes a vote changes the id."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tidegauge_probes
from tidegauge_probes import LabelingFunction, ProbeSet, SlicingFunction
from tidegauge_probes.labeling import digest
from tidegauge_probes.labeling.templates import TemplateSpec

MODULES = count()
Make = Callable[[str], ModuleType]

SOURCE = """
import re
from collections import Counter, defaultdict
from enum import IntEnum
from functools import lru_cache, partial, wraps
import numpy as np
from tidegauge_probes import *

SPAM = 1
WORDS = {"alpha", "beta", "gamma", "delta", "epsilon"}
PATTERN = re.compile("free")
WEIGHTS = Counter(a=1)
TABLE = np.arange(5)
FOLDED = partial(int, base=10)

class Label(IntEnum):
    SPAM = 1

def helper(x):
    return deeper(x)

def deeper(x):
    return x.text + helper.__name__

@lru_cache
def cached(text):
    return len(text)

def logged(f):
    @wraps(f)
    def wrapper(x):
        return f(x)
    return wrapper

@preprocessor()
def inner(x):
    x.inner = 1
    return x

@preprocessor(pre=[inner])
def outer(x):
    x.outer = SPAM
    return x

class Base(LabelingFunction):
    LIMIT = 3
    def __init__(self, name, part):
        self.part = part
        super().__init__(name, self.vote)
    def vote(self, x):
        return self.decide(x, SPAM)
    def decide(self, x, label):
        return label if self.part in x.text else -1

class Phrase(Base):
    pass

class Slotted:
    __slots__ = ("limit",)
    def __init__(self, limit):
        self.limit = limit

LIMITS = Slotted(4)

def make(word, limit=2):
    def closed(x, label=1):
        return label if word in x.text and limit else -1
    return closed

@labeling_function(pre=[outer], resources={"words": WORDS, "deep": [[[[[[[WORDS]]]]]]]})
def lf(x, words, deep):
    found = any(PATTERN.search(w) and w in WEIGHTS for w in x.text.split())
    if found or helper(x) or cached(x.text) > LIMITS.limit or x.text in TABLE or FOLDED(x.n):
        return Label.SPAM
    return -1

@labeling_function()
@logged
def wrapped(x):
    return 1

PROBES = ProbeSet.of([
    lf,
    wrapped,
    Phrase("phrase", "won"),
    LabelingFunction("closed", make("prize")),
    LabelingFunction("method", PATTERN.search),
    LabelingFunction("lambda", lambda x: SPAM),
    LabelingFunction("partial", partial(make, limit=5)),
], slices=[SlicingFunction("slice", lambda x: "?" in x.text)])
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Import a source text, always under the same module name but from another file."""

    def make(source: str) -> ModuleType:
        folder = tmp_path / str(next(MODULES))
        folder.mkdir()
        (folder / "lfs_to_hash.py").write_text(source, encoding="utf-8")
        monkeypatch.syspath_prepend(str(folder))
        sys.modules.pop("lfs_to_hash", None)
        return importlib.import_module("lfs_to_hash")

    return make


@pytest.fixture(autouse=True)
def _leave_no_module() -> Any:
    yield
    sys.modules.pop("lfs_to_hash", None)


def id_of(module: ModuleType) -> str:
    found: str = module.PROBES.id
    return found


def test_the_same_source_has_the_same_id(make: Make) -> None:
    assert id_of(make(SOURCE)) == id_of(make(SOURCE))
    assert id_of(make(SOURCE)) == id_of(make("# moved down by a comment\n" + SOURCE))


def test_the_same_source_has_the_same_id_in_another_process(tmp_path: Path) -> None:
    """Hash seeds order sets anew, and every object has another address."""
    (tmp_path / "lfs_to_hash.py").write_text(SOURCE, encoding="utf-8")
    root = Path(tidegauge_probes.__file__).parents[1]
    script = (
        "import lfs_to_hash as m; print(m.PROBES.id);"
        "from tidegauge_probes import *;"
        'exec(\'def typed(x): return x.a if x.b in {"a", "b", "c", "d"} else (lambda: 1)()\');'
        "print(ProbeSet.of([LabelingFunction('typed', typed)]).id)"
    )

    def ids(seed: int) -> str:
        path = os.pathsep.join([str(tmp_path), str(root)])
        environment = os.environ | {"PYTHONHASHSEED": str(seed), "PYTHONPATH": path}
        return subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    first = ids(1)
    assert len(first.split()) == 2
    assert ids(2) == first


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SPAM = 1\nWORDS", "SPAM = 0\nWORDS"),
        ('"epsilon"}', '"eta"}'),
        ('re.compile("free")', 're.compile("fee")'),
        ('re.compile("free")', 're.compile("free", re.I)'),
        ("Counter(a=1)", "Counter(a=1, b=1)"),
        ("np.arange(5)", "np.arange(6)"),
        ("base=10", "base=16"),
        ("    SPAM = 1\n\ndef helper", "    SPAM = 0\n\ndef helper"),
        ("return x.text + helper", "return x.text * 2 + helper"),
        ("return len(text)", "return len(text) + 1"),
        ("return f(x)", "return -f(x)"),
        ("x.inner = 1", "x.inner = 2"),
        ("x.outer = SPAM", "x.outer = 3"),
        ("LIMIT = 3", "LIMIT = 4"),
        ("if self.part in x.text", "if self.part == x.text"),
        ("Slotted(4)", "Slotted(5)"),
        ("limit=2", "limit=3"),
        ("label=1", "label=0"),
        ('make("prize")', 'make("win")'),
        ('"won"', '"lost"'),
        ("[[[[[[[WORDS]]]]]]]", "[[[[[[[WORDS | {1}]]]]]]]"),
        ("limit=5", "limit=6"),
        ('lambda x: "?" in', 'lambda x: "!" in'),
        ('SlicingFunction("slice"', 'SlicingFunction("piece"'),
        ('LabelingFunction("lambda"', 'LabelingFunction("other"'),
        ("PATTERN.search)", "PATTERN.match)"),
        ("    lf,\n    wrapped,", "    wrapped,\n    lf,"),
    ],
)
def test_whatever_changes_a_vote_changes_the_id(make: Make, old: str, new: str) -> None:
    assert SOURCE.count(old) == 1
    assert id_of(make(SOURCE)) != id_of(make(SOURCE.replace(old, new)))


def test_classes_and_their_order_are_content() -> None:
    lf = LabelingFunction("lf", len)
    ids = [ProbeSet.of([lf], classes=names).id for names in ("AB", "BA", "ABC", ["0", "1"])]
    assert len(set(ids)) == 4
    assert ProbeSet.of([lf]).id == ids[3]


def test_defaults_count_by_value_where_the_source_does_not_tell() -> None:
    def with_default(given: int) -> str:
        def f(_: Any, label: int = given) -> int:
            return label

        def g(_: Any, *, label: int = given) -> int:
            return label

        return ProbeSet.of([LabelingFunction("f", f), LabelingFunction("g", g)]).id

    assert with_default(1) == with_default(1)
    assert with_default(1) != with_default(0)


def test_constants_count_that_only_a_method_reads(make: Make) -> None:
    source = """
        from tidegauge_probes import *
        LIMIT = 1
        class Rule:
            name = "rule"
            def __call__(self, x):
                return self.decide(x)
            @staticmethod
            def decide(x):
                return x.n > LIMIT
        PROBES = ProbeSet.of([Rule()])
    """
    text = textwrap.dedent(source)
    assert id_of(make(text)) == id_of(make(text))
    assert id_of(make(text)) != id_of(make(text.replace("LIMIT = 1", "LIMIT = 2")))


def id_with(value: Any) -> str:
    return ProbeSet.of([LabelingFunction("lf", len, resources={"value": value})]).id


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (1, 2),
        (1, True),
        ("a", b"a"),
        (np.zeros(5000), np.concatenate([np.zeros(2500), [1e-12], np.zeros(2499)])),
        (np.zeros(4), np.zeros((2, 2))),
        (np.zeros(1, np.int8), np.zeros(1, np.int16)),
        (np.int64(1), np.int64(2)),
        (re.compile("a" * 300 + "b"), re.compile("a" * 300 + "c")),
        (np.array([{"a"}]), np.array([{"b"}])),
        (partial(int, 1), partial(int, 2)),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": 2}),
        ({1, 2}, {1, 3}),
    ],
)
def test_resources_count_by_their_whole_value(one: Any, two: Any) -> None:
    assert id_with(one) != id_with(two)
    assert id_with(one) == id_with(one)


def test_equal_resources_have_equal_ids() -> None:
    words = [f"word{i}" for i in range(50)]
    assert id_with(set(words)) == id_with(set(words[25:]) | set(words[:25]))
    assert id_with({"a": 1, "b": {"c": 1, "d": 2}}) == id_with({"b": {"d": 2, "c": 1}, "a": 1})
    assert id_with(np.arange(9)) == id_with(np.arange(9))
    assert id_with(object()) == id_with(object())
    shared = [1]
    assert id_with([shared, shared]) == id_with([[1], [1]])


def test_code_without_source_counts_by_its_names_and_constants() -> None:
    def typed(body: str) -> str:
        space: dict[str, Any] = {}
        exec(f"def f(x): return {body}", space)  # noqa: S102  (as a prompt does)
        return ProbeSet.of([LabelingFunction("f", space["f"])]).id

    assert typed("x.a") == typed("x.a")
    assert typed("x.a") != typed("x.b")
    assert typed("x == 1") != typed("x == 2")
    assert typed("(lambda: x.a)()") != typed("(lambda: x.b)()")
    assert typed("(lambda: x.a)()") == typed("(lambda: x.a)()")


def test_a_walk_ends_on_cycles_on_depth_and_on_functions_that_call_each_other() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    deep: Any = None
    for _ in range(5000):
        deep = [deep]
    space: dict[str, Any] = {}
    for name in range(40):
        calls = " + ".join(f"f{j}(x)" for j in range(40))
        exec(f"def f{name}(x): return {calls}", space)  # noqa: S102
    for value in (cycle, deep, space["f0"]):
        assert id_with(value) == id_with(value)


def test_the_library_is_named_not_described() -> None:
    described = str(digest.describe(LabelingFunction("lf", len)))
    assert "tidegauge_probes.labeling.decorators.LabelingFunction" in described
    assert "Vote on one record" not in described


def test_a_templates_id_follows_what_it_does_not_what_it_is_called_for() -> None:
    def template(**changes: Any) -> str:
        spec = {"name": "lf", "label": 1, "keyword": {"any": ["a"]}, **changes}
        return ProbeSet.of([TemplateSpec.model_validate(spec)]).id

    assert template() == template(description="says a")
    assert template() == template(keyword={"any": ["a"], "case": False, "field": "text"})
    others = [
        template(name="other"),
        template(label=0),
        template(keyword={"any": ["b"]}),
        template(keyword={"all": ["a"]}),
        template(keyword={"any": ["a"], "case": True}),
        template(keyword={"any": ["a"], "field": "title"}),
    ]
    assert len({template(), *others}) == 7


def test_ids_are_16_hex_digits_and_the_origin_is_no_content() -> None:
    probe_set = ProbeSet.of([LabelingFunction("lf", len)], slices=[SlicingFunction("s", len)])
    again = ProbeSet(probe_set.probes, probe_set.classes, probe_set.slices, origin="a file")
    assert again.id == probe_set.id
    assert len(bytes.fromhex(probe_set.id)) == 8
