import hashlib
import json
import subprocess
import sys
from datetime import datetime

import pytest

from tests.demo.plain_lfs import words
from tidegauge_service.demo.generator import Plan, batch, raw_at, record_at, truth_at

PLAN = Plan()


def digest(seed: int, offsets: range) -> str:
    return hashlib.sha256(b"\n".join(raw_at(seed, n, PLAN) for n in offsets)).hexdigest()


def test_first_thousand_bytes_are_golden() -> None:
    # A new digest means new demo figures everywhere: screenshots, docs, examples/spam.
    assert (
        digest(7, range(1000)) == "b7f7d0294a5d4e803b4f08031600c3ffa2fa131b5c82d258857d06b2513a83f9"
    )


def test_the_shifted_part_is_golden() -> None:
    assert (
        digest(7, range(20_000, 21_000))
        == "c22ceb8b2fdeda845f6015fa6276f73b58f0d00e8cdf30ecbc20eed33eddd8ab"
    )


def test_another_process_with_other_hash_seeds_makes_the_same_bytes() -> None:
    script = (
        "from tidegauge_service.demo.generator import Plan, raw_at\n"
        "import sys; sys.stdout.buffer.write(raw_at(7, 20_345, Plan()))"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert made == {raw_at(7, 20_345, PLAN)}


def test_random_access_equals_batch_in_any_order() -> None:
    records = batch(3, 19_990, 400, PLAN)
    backwards = [record_at(3, offset, PLAN) for offset in reversed(range(19_990, 20_390))]
    assert records == backwards[::-1]
    assert batch(3, 20_100, 50, PLAN) == records[110:160]
    assert batch(3, 5, 0, PLAN) == []


def test_seeds_differ() -> None:
    ours = {record["text"] for record in batch(1, 0, 200, PLAN)}
    theirs = {record["text"] for record in batch(2, 0, 200, PLAN)}
    assert len(ours & theirs) < 10


def test_raw_is_the_record_as_json() -> None:
    plan = Plan(dirty_share=0)
    for offset in range(500):
        assert json.loads(raw_at(7, offset, plan)) == record_at(7, offset, plan)


def test_a_record_has_the_fields_of_a_comment_or_mail() -> None:
    for offset, record in enumerate(batch(7, 0, 3000, PLAN)):
        assert list(record) == ["id", "timestamp", "text", "channel", "author", "links", "model"]
        assert record["id"] == f"demo-{offset:06d}"
        assert record["channel"] in {"mail", "web", "app"}
        assert 0 <= record["links"] <= 6
        assert record["links"] >= min(2, record["text"].count("://"))
        assert record["author"] is None or record["author"]
        assert record["model"]["label"] in {"spam", "ham"}
        assert 0.5 < record["model"]["score"] < 1


def test_texts_are_of_natural_length_and_rarely_repeat() -> None:
    texts = [record["text"] for record in batch(7, 0, 20_000, PLAN)]
    lengths = [len(text.split()) for text in texts]
    assert 8 <= min(lengths) < 12
    assert 50 < max(lengths) <= 60
    assert len(set(texts)) > 0.9 * len(texts)


def test_no_slot_is_left_unfilled() -> None:
    assert not any(set("{}") & set(record["text"]) for record in batch(7, 19_000, 5000, PLAN))


def test_timestamps_lie_in_the_window_and_are_nearly_in_order() -> None:
    plan = Plan(records_per_window=50)
    previous = 0.0
    for offset, record in enumerate(batch(7, 0, 500, plan)):
        assert record["timestamp"].endswith("Z")
        assert len(record["timestamp"]) == len("2026-01-01T00:00:00.000Z")
        ms = round(datetime.fromisoformat(record["timestamp"]).timestamp() * 1000)
        assert (ms - plan.start_ms) // plan.window_ms == offset // 50
        assert ms > previous - 3 * plan.window_ms / 50
        previous = ms


def test_some_records_arrive_out_of_order() -> None:
    times = [record["timestamp"] for record in batch(7, 0, 300, PLAN)]
    assert times != sorted(times)


def test_offsets_before_the_start_are_refused() -> None:
    with pytest.raises(ValueError, match="offset -1"):
        record_at(7, -1, PLAN)


@pytest.mark.parametrize(
    "settings",
    [
        {"shift_window": 10},
        {"recover_window": 66},
        {"quiet_windows": 0},
        {"records_per_window": 0},
        {"window_ms": 0},
    ],
)
def test_a_story_out_of_order_is_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="need"):
        Plan(**settings)  # type: ignore[arg-type]


def test_the_truth_is_not_in_the_record() -> None:
    truths = {truth_at(7, offset, PLAN).topic for offset in range(20_400, 21_400)}
    assert "wallet_wave" in truths
    assert not any("wallet_wave" in words(record) for record in batch(7, 20_400, 1000, PLAN))
