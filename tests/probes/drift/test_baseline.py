from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from tests.probes.simulation import HOUR_MS, Floats, count, fit, layout_of, panes, wobbling
from tests.probes.strategies import matrix
from tidegauge_probes import label_model
from tidegauge_probes.counts import panes as counts
from tidegauge_probes.drift import baseline as baselines
from tidegauge_probes.drift.baseline import LEARNING_WINDOWS, Baseline
from tidegauge_probes.drift.calibration import variance_time
from tidegauge_probes.drift.calibration.model import Calibration
from tidegauge_probes.drift.calibration.noise import FLOOR_TAU
from tidegauge_probes.drift.civil_time import CivilTime
from tidegauge_probes.errors import BaselineError
from tidegauge_probes.findings import SeriesKind
from tidegauge_probes.label_model import LabelModelKind
from tidegauge_probes.label_model.parts import arrays

WINDOWS, RECORDS = 336, 1000


def coverage(baseline: Baseline, values: Floats) -> Floats:
    """Pick the coverage series of every LF."""
    rows = [i for i, key in enumerate(baseline.keys) if key.series is SeriesKind.COVERAGE]
    return values[rows]


def small(windows: int = 3, seed: int = 0) -> Baseline:
    rng = np.random.default_rng(seed)
    return fit(list(panes(rng, np.full((windows, 3), 0.3), 50)))


# -- the stored form --------------------------------------------------------------------------


def test_a_baseline_survives_storage_with_the_same_id() -> None:
    baseline = small()
    again = baselines.decode(baseline.encode())
    assert again.id == baseline.id
    assert again.encode() == baseline.encode()
    assert (again.plan, again.total, again.source) == (
        baseline.plan,
        baseline.total,
        baseline.source,
    )
    assert again.learned is None
    for name in ("starts", "x", "n"):
        assert (getattr(again, name) == getattr(baseline, name)).all()
    assert_allclose(again.calibration.p, baseline.calibration.p, rtol=0)


def test_the_id_follows_the_content() -> None:
    assert small().id == small().id
    with zipfile.ZipFile(io.BytesIO(ENCODED)) as archive:
        assert {part.date_time for part in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert len(small().id) == 16
    assert small().id != small(seed=1).id
    rng = np.random.default_rng(0)
    pane = count(rng, np.full(3, 0.3), 50)

    def made(**changes: Any) -> str:
        facts: dict[str, Any] = {
            "layout": layout_of(3),
            "probe_set": "a",
            "window_ms": HOUR_MS,
            "source": {"path": "x", "rejected": 0},
        }
        return baselines.fit({0: pane}, **(facts | changes)).id

    assert made() == made(source={"rejected": 0, "path": "x"})
    others = (
        made(probe_set="b"),
        made(window_ms=1),
        made(source={}),
        made(slices=["s"]),
    )
    assert len({made(), *others}) == 5


def test_the_clock_and_the_calendar_are_part_of_the_content() -> None:
    baseline = small()
    berlin = baseline.in_time(CivilTime("Europe/Berlin", "DE-BY"))
    dates = baseline.in_time(CivilTime("UTC", ("2026-12-24",)))
    assert len({baseline.id, berlin.id, dates.id}) == 3
    for changed in (berlin, dates):
        again = baselines.decode(changed.encode())
        assert again.civil == changed.civil
        assert again.id == changed.id
        assert again.in_time(CivilTime()).encode() == baseline.encode()


@given(st.integers(0, 10**6))
def test_in_utc_a_baseline_has_the_bytes_that_it_had_before_there_were_zones(seed: int) -> None:
    pane = count(np.random.default_rng(seed), np.full(3, 0.3), 50)
    facts: dict[str, Any] = {"layout": layout_of(3), "probe_set": "a", "window_ms": HOUR_MS}
    plain = baselines.fit({0: pane}, **facts, source={})
    told = baselines.fit({0: pane}, **facts, source={}, civil=CivilTime("UTC"))
    assert told.encode() == plain.encode()
    with zipfile.ZipFile(io.BytesIO(told.encode())) as archive:
        header = json.loads(archive.read("header.json"))
    assert not {"timezone", "calendar"} & set(header)


def test_without_windows_there_is_nothing_to_read_by_a_clock() -> None:
    pane = count(np.random.default_rng(0), np.full(3, 0.3), 50)
    untimed = baselines.fit(
        {-1: pane},
        layout=layout_of(3),
        probe_set="a",
        window_ms=HOUR_MS,
        source={},
        civil=CivilTime("Europe/Berlin"),
    )
    assert untimed.civil == CivilTime()
    assert untimed.in_time(CivilTime("Europe/Berlin")) is untimed


def test_a_baseline_of_an_unknown_zone_is_refused() -> None:
    with pytest.raises(BaselineError, match="no time zone 'Europe/Berlinn'"):
        baselines.decode(small().in_time(CivilTime("Europe/Berlinn")).encode())


def with_model(kind: LabelModelKind = LabelModelKind.MAJORITY) -> Baseline:
    """Return a baseline whose label model is of that kind: guesses, copies, or LFs that know."""
    rng = np.random.default_rng(5)
    pane = count(rng, np.full(3, 0.3), 50)
    votes = rng.integers(-1, 2, size=(200, 3)).astype(np.int8)
    if kind is not LabelModelKind.MAJORITY:
        y = rng.integers(0, 2, size=(4_000, 1))
        votes = np.where(rng.random((4_000, 3)) < 0.9, y, 1 - y).astype(np.int8)
        silent = rng.random((4_000, 3)) < 0.4
        if kind is LabelModelKind.VOTES:  # all are silent together, and one copies another
            silent[:] = silent[:, :1]
            votes[::2, 1] = votes[::2, 0]
        votes[silent] = -1
    model = label_model.fit(votes, 2)
    assert model.kind is kind
    return fit([pane]).with_model(model)


@pytest.mark.parametrize("kind", LabelModelKind)
def test_a_label_model_survives_storage_exactly(kind: LabelModelKind) -> None:
    baseline = with_model(kind)
    again = baselines.decode(baseline.encode())
    assert baseline.model is not None
    assert again.model is not None
    assert again.id == baseline.id
    assert again.model.records == baseline.model.records
    assert again.model.kind is baseline.model.kind
    theirs = arrays(baseline.model)
    assert {"prior", "votes", "dependent", "pi", "gram"} < set(theirs)
    assert ("tables.emission" in theirs) == (kind is LabelModelKind.FULL)
    assert arrays(again.model).keys() == theirs.keys()
    for name, ours in arrays(again.model).items():
        assert ours.dtype == theirs[name].dtype
        assert ours.tobytes() == theirs[name].tobytes()


def test_the_id_is_of_what_was_counted_not_of_what_was_learned_from_it() -> None:
    """Sums of floats differ between machines; the id names windows compared with a baseline."""
    whole = small(LEARNING_WINDOWS)
    with zipfile.ZipFile(io.BytesIO(whole.encode())) as archive:
        learned = {name for name in archive.namelist() if name.startswith("calibration.")}
    assert "calibration.json" in learned
    with zipfile.ZipFile(io.BytesIO(ENCODED)) as archive:
        assert b'"version":4' in archive.read("header.json")
        assert archive.namelist() == ["header.json", "total.counts", "starts", "x", "n"]
    other = dataclasses.replace(whole.calibration, error=whole.calibration.error * 1.01)
    again = dataclasses.replace(whole, learned=(other, whole.forecast))
    assert again.id == whole.id
    assert again.encode() != whole.encode()


def test_what_was_learned_survives_storage_exactly() -> None:
    rng = np.random.default_rng(6)
    whole = fit(list(panes(rng, np.full((LEARNING_WINDOWS + 40, 3), 0.3), 50)))
    again = baselines.decode(whole.encode())
    assert again.learned is not None
    for name in ("p", "tau2", "error", "n", "freedom", "left_out"):
        assert np.array_equal(getattr(again.calibration, name), getattr(whole.calibration, name))
    assert (again.calibration.curve.growth == whole.calibration.curve.growth).all()
    hours = HOUR_MS * np.arange(400, dtype=np.int64)
    assert (again.calibration.expected(hours) == whole.calibration.expected(hours)).all()
    assert again.forecast.per_window(0.001) == whole.forecast.per_window(0.001)
    evidence = np.linspace(0, 60, len(whole.keys) * 64).reshape(64, -1)
    scales = np.arange(1, 65)[:, None] * np.ones(len(whole.keys), dtype=np.int64)
    both = [b.calibration.tails for b in (whole, again)]
    first, second = (tails.through(evidence, scales) for tails in both if tails is not None)
    assert (first == second).all()


def test_what_was_learned_by_a_clock_is_read_by_it_and_by_another_learned_anew() -> None:
    hours = np.arange(14 * 24)
    rates = 0.3 + 0.2 * np.sin(2 * np.pi * hours / 24)[:, None] * np.ones(3)
    utc = fit(list(panes(np.random.default_rng(6), rates, 200)))
    berlin = baselines.decode(utc.encode()).in_time(CivilTime("Europe/Berlin", ("1970-01-08",)))
    assert berlin.learned is None
    again = baselines.decode(berlin.encode())
    assert again.learned is not None
    season = again.calibration.season
    assert season.cycles
    assert (season.civil, season.window_ms) == (berlin.civil, HOUR_MS)
    starts = HOUR_MS * np.arange(400, dtype=np.int64)
    assert (again.calibration.expected(starts) == berlin.calibration.expected(starts)).all()
    assert again.encode() == berlin.encode()
    assert again.in_time(CivilTime()).encode() == utc.encode()


def test_a_calibration_of_other_series_is_refused() -> None:
    whole, other = small(LEARNING_WINDOWS), fit([count(RNG, np.full(4, 0.3), 50)] * 48)
    strange = dataclasses.replace(whole, learned=(other.calibration, other.forecast))
    with pytest.raises(BaselineError, match="its calibration belongs to other series"):
        baselines.decode(strange.encode())


def test_a_label_model_of_other_lfs_is_refused() -> None:
    four = label_model.fit(np.zeros((100, 4), dtype=np.int8), 2)
    with pytest.raises(BaselineError, match="other LFs or classes"):
        baselines.decode(dataclasses.replace(small(), model=four).encode())


RNG = np.random.default_rng(8)
ENCODED = small().encode()
CALIBRATED = small(LEARNING_WINDOWS).encode()
MODELLED = with_model().encode()


@given(st.data(), st.sampled_from([ENCODED, MODELLED, CALIBRATED]))
@settings(max_examples=300)
def test_broken_bytes_are_a_baseline_error_or_the_same_baseline(
    data: st.DataObject, whole: bytes
) -> None:
    """Bits that carry no content (a zip's file times) may differ; nothing else gets through."""
    position = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.booleans())
    flipped = whole[position] ^ data.draw(st.integers(1, 255))
    broken = whole[:position] if cut else _put(whole, position, flipped)
    try:
        again = baselines.decode(broken)
    except BaselineError as error:
        assert "fit it again" in str(error)  # noqa: PT017  (either is right)
    else:
        assert again.encode() == whole


def _put(content: bytes, position: int, byte: int) -> bytes:
    return content[:position] + bytes([byte]) + content[position + 1 :]


def rezipped(**changes: bytes | None) -> bytes:
    with zipfile.ZipFile(io.BytesIO(ENCODED)) as archive:
        parts: dict[str, bytes | None] = {n: archive.read(n) for n in archive.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in (parts | changes).items():
            if content is not None:
                archive.writestr(name, content)
    return buffer.getvalue()


def array(values: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {"x": None},
        {"header.json": b"{}"},
        {"header.json": b"\xff"},
        {"total.counts": b"TGC"},
        {"total.counts": counts.empty(4, 2).encode()},
        {"starts": b""},
        {"x": array(np.array([{}], dtype=object))},
        {"x": array(np.zeros((3, 2), np.int64))},
        {"n": array(np.zeros((2, 7), np.int64))},
        {"starts": array(np.zeros(5, np.int64))},
    ],
)
def test_a_zip_of_something_else_is_a_baseline_error(changes: dict[str, bytes | None]) -> None:
    with pytest.raises(BaselineError, match="fit it again"):
        baselines.decode(rezipped(**changes))


def test_a_baseline_of_another_version_says_so() -> None:
    with zipfile.ZipFile(io.BytesIO(ENCODED)) as archive:
        header = archive.read("header.json").replace(b'"version":4', b'"version":7')
    with pytest.raises(BaselineError, match="has version 7, not 4: fit it again"):
        baselines.decode(rezipped(**{"header.json": header}))


@pytest.mark.parametrize("windows", [{}, {0: counts.empty(3, 2)}])
def test_an_empty_baseline_is_refused(windows: dict[int, counts.PaneCounts]) -> None:
    with pytest.raises(BaselineError, match="the baseline is empty"):
        baselines.fit(windows, layout=layout_of(3), probe_set="", window_ms=1, source={})


def test_windows_without_a_time_or_a_record_are_not_calibrated_on() -> None:
    pane = count(np.random.default_rng(0), np.full(3, 0.3), 50)
    windows = {-1: pane, 2 * HOUR_MS: pane, HOUR_MS: counts.empty(3, 2), 0: pane}
    baseline = baselines.fit(
        windows, layout=layout_of(3), probe_set="", window_ms=HOUR_MS, source={}
    )
    assert baseline.starts.tolist() == [0, 2 * HOUR_MS]
    assert baseline.total.records == 150
    assert baseline.x.shape == (2, len(baseline.keys))


# -- calibration ------------------------------------------------------------------------------


def test_48_windows_end_learning() -> None:
    assert small(LEARNING_WINDOWS - 1).calibration.learning
    assert not small(LEARNING_WINDOWS).calibration.learning


def test_a_learning_baseline_assumes_how_much_varies() -> None:
    rng = np.random.default_rng(3)
    baseline = fit(list(panes(rng, np.full((4, 3), 0.3), 500)))
    found = baseline.calibration
    assert_allclose(coverage(baseline, found.p), 0.3, atol=0.05)
    assert_allclose(found.tau2, 0.04)
    assert (coverage(baseline, found.se2) > 0.04 / 4).all()
    assert (coverage(baseline, found.n) == 2000).all()
    assert (found.curve.growth == 1).all()
    assert baseline.forecast.per_window(0.001) is None


RATES = [0.02] * 5 + [0.1] * 5 + [0.3] * 5


@pytest.fixture(scope="module")
def calibrated() -> tuple[Baseline, Calibration]:
    """15 LFs whose shares wobble by 10 % of themselves, 336 windows of 1,000 records."""
    rng = np.random.default_rng(20)
    rates = wobbling(rng, RATES, WINDOWS, 0.1)
    baseline = fit(list(panes(rng, rates, RECORDS)))
    return baseline, baseline.calibration


def test_calibration_recovers_p_within_two_percent(
    calibrated: tuple[Baseline, Calibration],
) -> None:
    baseline, found = calibrated
    p = coverage(baseline, found.p)
    assert_allclose(p, RATES, rtol=0.04)
    assert_allclose(p[5:], RATES[5:], rtol=0.02)
    error = (special_logit(p) - special_logit(np.array(RATES))) / np.sqrt(
        coverage(baseline, found.se2)
    )
    assert np.abs(error).max() < 3.5, "the stated error of p is the error it has"
    counting = 1 / (found.n * found.p * (1 - found.p))
    between = found.tau2 / WINDOWS
    whole = found.n == baseline.n.sum(axis=0)
    often = found.n * np.minimum(found.p, 1 - found.p) >= 10
    usable = whole & often & (baseline.n > 0).all(axis=0)
    assert usable.sum() > 100
    independent = (counting + between) * found.curve.of_mean(WINDOWS)
    assert_allclose(found.se2[usable], independent[usable], rtol=0.05)


def special_logit(p: Floats) -> Floats:
    return np.asarray(np.log(p / (1 - p)))


def test_calibration_recovers_tau_on_the_cautious_side(
    calibrated: tuple[Baseline, Calibration],
) -> None:
    """The sd of logit p is the relative sd / (1 − p): within −10 % and +35 % of it."""
    baseline, found = calibrated
    truth = 0.1 / (1 - np.array(RATES))
    ratio = np.sqrt(coverage(baseline, found.tau2)) / truth
    assert (ratio > 0.9).all(), ratio
    assert (ratio < 1.35).all(), ratio
    assert ratio.mean() > 1.03, "half a posterior deviation is added"


def test_a_stream_without_variation_is_calibrated_near_the_floor() -> None:
    rng = np.random.default_rng(21)
    baseline = fit(list(panes(rng, np.full((100, 4), 0.3), RECORDS)))
    tau = np.sqrt(coverage(baseline, baseline.calibration.tau2))
    assert (tau >= FLOOR_TAU).all()
    assert (tau < 2 * FLOOR_TAU).all()


def test_an_incident_in_the_calibration_windows_is_left_out() -> None:
    rng = np.random.default_rng(22)
    rates = wobbling(rng, [0.05, 0.1, 0.3, 0.3], 120, 0.1)
    clean = fit(list(panes(np.random.default_rng(1), rates, RECORDS)))
    incident = rates.copy()
    incident[40:48, 2] = 0.9
    spoilt = fit(list(panes(np.random.default_rng(1), incident, RECORDS)))
    assert_allclose(
        coverage(spoilt, spoilt.calibration.p), coverage(clean, clean.calibration.p), rtol=0.02
    )
    before, after = (np.sqrt(coverage(b, b.calibration.tau2)) for b in (clean, spoilt))
    assert_allclose(after, before, rtol=0.4)  # left in: τ̂ of lf2 trebles
    assert coverage(spoilt, spoilt.calibration.n)[2] <= 112 * RECORDS
    assert coverage(spoilt, spoilt.calibration.n)[2] >= 110 * RECORDS, "and a window either side"
    assert coverage(spoilt, spoilt.calibration.n)[1] == 120 * RECORDS
    assert spoilt.calibration.left_out == ((39 * HOUR_MS, 49 * HOUR_MS),)
    assert not clean.calibration.left_out


@pytest.mark.parametrize("phi", [0.0, 0.4, 0.8])
def test_persistence_is_recovered_roughly(phi: float) -> None:
    """AR(1) noise of sd .3 on the logit scale: sums of 16 windows grow as they do, within ±40 %."""
    rng = np.random.default_rng(23)
    noise = np.zeros((400, 6))
    for w in range(1, 400):
        noise[w] = phi * noise[w - 1] + np.sqrt(1 - phi**2) * 0.3 * rng.standard_normal(6)
    rates = 1 / (1 + np.exp(1.0 - noise))
    baseline = fit(list(panes(rng, rates, 600)))
    found = coverage(baseline, baseline.calibration.curve.growth[16])
    between = 600 * 0.2 * 0.3**2 / (1 + 600 * 0.2 * 0.3**2)  # of the variance of a window
    truth = 1 + between * (variance_time.growth(phi, 16) - 1)
    assert np.median(found) == pytest.approx(truth, rel=0.4)


def test_series_that_never_move_or_never_happen_are_calibrated() -> None:
    votes = np.zeros((30, 2), dtype=np.int8)
    votes[:, 1] = -1
    pane = counts.fold(matrix(votes), 2, {})
    baseline = fit([pane] * 60)
    found = baseline.calibration
    for values in (found.p, found.tau2, found.error, found.se2, found.n):
        assert np.isfinite(values).all()
    assert ((found.p > 0) & (found.p < 1)).all()
    assert (found.tau2 > 0).all()
