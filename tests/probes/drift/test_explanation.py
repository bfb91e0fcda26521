"""Where a shift comes from: a segment, a mix, or nowhere in particular."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.probes.simulated_votes import pane, unipolar
from tidegauge_probes.drift.explanation import explain, of_classes
from tidegauge_probes.findings import (
    Cause,
    CauseKind,
    Finding,
    SeriesKey,
    SeriesKind,
    ValueShare,
    Verdict,
)
from tidegauge_probes.label_model import LabelModel, LabelModelKind, dawid_skene, kinds
from tidegauge_probes.label_model.precision import PairCounts
from tidegauge_probes.label_model.rows import DistinctRows
from tidegauge_probes.model import ABSTAIN, Outcomes

LF = SeriesKey(SeriesKind.COVERAGE, probe="lf")
Counts = tuple[int, int, float, int]
"""x and n now, the rate expected, n before."""


def look(segments: dict[str, Counts]) -> Cause | None:
    """Explain a shift of the whole, which is the sum of the segments."""
    findings, before = {}, {}
    for name, (x, n, expected, n0) in segments.items():
        key = SeriesKey(SeriesKind.COVERAGE, name, "lf")
        z = abs(x - n * expected) / max((n * expected * (1 - expected)) ** 0.5, 1e-9)
        findings[key] = Finding(
            key, 0, x, n, Verdict.OK, expected=expected, p_value=float(2 * np.exp(-z * z / 2))
        )
        before[key] = n0
    x, n = sum(c[0] for c in segments.values()), sum(c[1] for c in segments.values())
    findings[LF] = Finding(LF, 0, x, n, Verdict.SHIFTED, expected=0.5)
    totals = {key: (finding.x, finding.n) for key, finding in findings.items()}
    return explain(LF, findings, totals, before)


def test_one_segment_has_changed() -> None:
    cause = look(
        {
            "channel=mail": (50, 500, 0.30, 5000),
            "channel=web": (90, 300, 0.30, 3000),
            "channel=app": (61, 200, 0.30, 2000),
        }
    )
    assert cause is not None
    assert (cause.kind, cause.field, cause.segment) == ("within", "channel", "channel=mail")
    assert cause.weight == 0.5
    assert 0.95 < cause.share < 1.05


def test_only_the_mix_has_changed() -> None:
    cause = look({"a=x": (80, 800, 0.1, 2000), "a=y": (100, 200, 0.5, 8000)})
    assert cause is not None
    assert (cause.kind, cause.field, cause.segment) == ("mix", "a", "")
    assert cause.values == (ValueShare("a=x", 0.2, 0.8),), "its share did most"
    assert 0.95 < cause.share < 1.05


def test_a_mix_that_hides_what_the_segments_did_is_named() -> None:
    """All segments rose, and the whole fell (Simpson 1951)."""
    cause = look({"a=x": (120, 800, 0.1, 2000), "a=y": (120, 200, 0.5, 8000)})
    assert cause is not None
    assert cause.kind is CauseKind.SIMPSON
    assert cause.share > 1


def test_where_all_segments_moved_alike_none_is_named() -> None:
    assert look({"a=x": (60, 500, 0.3, 5000), "a=y": (60, 500, 0.3, 5000)}) is None


def test_the_smallest_segment_of_all_fields_is_named() -> None:
    cause = look(
        {
            "wide=1": (60, 900, 0.10, 9000),
            "wide=2": (10, 100, 0.10, 1000),
            "narrow=1": (31, 300, 0.10, 3000),
            "narrow=2": (7, 400, 0.10, 4000),
            "narrow=3": (32, 300, 0.10, 3000),
        }
    )
    assert cause is not None
    assert cause.segment == "narrow=2"


def test_chance_in_a_small_segment_is_not_named() -> None:
    cause = look({"a=x": (200, 990, 0.2, 9900), "a=y": (4, 10, 0.2, 100)})
    assert cause is None


def test_segments_and_other_series_are_not_explained() -> None:
    key = SeriesKey(SeriesKind.COVERAGE, "a=x", "lf")
    finding = Finding(key, 0, 1, 10, Verdict.SHIFTED, expected=0.5)
    assert explain(key, {key: finding}, {key: (1, 10)}, {key: 10}) is None
    assert explain(LF, {key: finding}, {key: (1, 10)}, {key: 10}) is None


shares = st.floats(0, 1)
counts = st.tuples(st.integers(0, 10**6), shares, shares, st.integers(0, 10**6)).map(
    lambda c: (int(c[0] * c[1]), c[0], c[2], c[3])
)


@given(st.dictionaries(st.sampled_from(["a=x", "a=y", "a=_other", "b=x", "b=y"]), counts))
def test_any_counts_have_a_finite_answer(segments: dict[str, Counts]) -> None:
    cause = look(segments)
    if cause is not None:
        assert np.isfinite([cause.share, cause.weight]).all()
        assert cause.share >= 0.8


def checked(seen: Outcomes) -> LabelModel:
    """Return the model of votes that are known to be independent given the class."""
    rows = DistinctRows.of(seen, 2)
    tables = dawid_skene.fit_rows(rows)
    return kinds.full(rows, tables)


def of_those_that_moved(
    now: tuple[float, float], broken: int | None = None
) -> dict[int, Cause | None]:
    """Ask why the coverage of some of ten LFs moved when the classes went from 30:70 to *now*."""
    rng = np.random.default_rng(7)
    before = np.array([0.3, 0.7])
    world = unipolar(rng, 10, before, coverage=(0.05, 0.2))
    _, seen = world.draw(rng, 50_000, before)
    _, votes = world.draw(rng, 20_000, np.array(now))
    if broken is not None:  # of its votes every second is lost
        votes[::2, broken] = ABSTAIN
    model = checked(seen)
    together = PairCounts.of(pane(votes, 2))
    change = (votes >= 0).mean(axis=0) - (seen >= 0).mean(axis=0)
    return {
        int(i): of_classes(int(i), float(change[i]), model, ("ham", "spam"), together)
        for i in np.flatnonzero(np.abs(change) > 0.01)
    }


def test_another_mix_of_classes_is_told_from_an_lf_that_broke() -> None:
    """LF 3 lost half of its votes; all the others only follow the class."""
    causes = of_those_that_moved((0.7, 0.3), broken=3)
    assert causes.pop(3) is None
    assert len(causes) > 5
    for cause in causes.values():
        assert cause is not None
        assert (cause.kind, cause.segment) == ("classes", "")
        assert cause.field in {"ham", "spam"}
        assert abs(cause.weight - {"ham": 0.7, "spam": 0.3}[cause.field]) < 0.05


def test_an_lf_that_broke_alone_is_not_laid_to_the_classes() -> None:
    assert of_those_that_moved((0.3, 0.7), broken=3) == {3: None}


def asleep(seed: int, spam: float, n: int) -> Outcomes:
    """Return votes on records of which half wake no LF at all, so silence tells nothing."""
    before = np.array([0.6, 0.4])
    world = unipolar(np.random.default_rng(3), 12, before, coverage=(0.2, 0.5))
    _, votes = world.draw(np.random.default_rng(seed), n, np.array([1 - spam, spam]))
    votes[: n // 2] = ABSTAIN
    return votes


def asked(before: Outcomes, after: Outcomes) -> dict[int, Cause | None]:
    """Ask the label model that *before* allows why each LF's coverage moved."""
    model, together = kinds.fit(before, 2), PairCounts.of(pane(after, 2))
    assert model.kind is LabelModelKind.VOTES
    change = (after >= 0).mean(axis=0) - (before >= 0).mean(axis=0)
    return {
        i: of_classes(i, float(change[i]), model, ("ham", "spam"), together)
        for i in range(len(change))
    }


def test_a_stream_without_spam_is_not_said_to_be_full_of_it() -> None:
    """Half of the LFs die away with their class, and that is told, without a share."""
    causes = [c for c in asked(asleep(1, 0.4, 30_000), asleep(2, 0.0, 20_000)).values() if c]
    assert causes
    for cause in causes:
        assert cause.weight == 0, "its share is not known"
        assert cause.ratio is not None
        assert (cause.field == "spam") == (cause.ratio < 1)


def test_traffic_that_no_lf_knows_is_no_other_mix_of_classes() -> None:
    """All classes are as much rarer: a fifth of the records are of a topic that wakes no LF."""
    after = asleep(2, 0.4, 20_000)
    after[::5] = ABSTAIN
    assert set(asked(asleep(1, 0.4, 30_000), after).values()) == {None}


def test_of_a_majority_no_class_is_a_cause() -> None:
    rng = np.random.default_rng(1)
    before, after = rng.integers(-1, 2, (2, 20_000, 8)).astype(np.int8)
    after[after == 1] = ABSTAIN
    model = kinds.fit(before, 2)
    assert model.kind is LabelModelKind.MAJORITY
    assert of_classes(0, -0.3, model, ("ham", "spam"), PairCounts.of(pane(after, 2))) is None


def test_a_cause_is_the_same_only_if_the_class_moved_the_same_way() -> None:
    up = Cause(CauseKind.CLASSES, "spam", "", 0.9, 0.0, ratio=2.0)
    assert up.same(Cause(CauseKind.CLASSES, "spam", "", 1.1, 0.0, ratio=1.5))
    assert not up.same(Cause(CauseKind.CLASSES, "spam", "", 0.9, 0.0, ratio=0.5))
    assert not up.same(Cause(CauseKind.CLASSES, "ham", "", 0.9, 0.0, ratio=2.0))
