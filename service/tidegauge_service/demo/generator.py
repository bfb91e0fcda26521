"""An endless stream of comments and e-mails for a spam filter, open at any offset.

Pure and seeded: the same seed, offset and plan give the same bytes on every machine and
Python from 3.11 on (``random.Random`` promises that for text seeds and ``random()``).
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from random import Random
from typing import Any, Final, Literal

from tidegauge_service.demo.plan import ALL_TOPICS, Plan, TopicMix, mix_at
from tidegauge_service.demo.topics import (
    CHANNEL_SHARES,
    CHANNELS,
    CLOSERS,
    OPENERS,
    PHARMACY,
    WAVE,
    Label,
    Sentence,
    Topic,
)
from tidegauge_service.demo.words import FIRST_NAMES, PLAIN_TO_DISGUISED

__all__ = ["Dirt", "Plan", "Truth", "batch", "dirt_at", "raw_at", "record_at", "truth_at"]

Draw = Callable[[], float]
Dirt = Literal["not_an_object", "no_id", "bad_timestamp"]

_DIRT: Final[tuple[Dirt, ...]] = ("not_an_object", "no_id", "bad_timestamp")
_CHANNEL_BOUNDS: Final = (*accumulate(CHANNEL_SHARES[:-1]), 1.0)
_OPENED: Final = 0.3
_LONG: Final = 3
_STILL_PLAIN: Final = 0.02
_FOOLED_BY_DISGUISE: Final = 0.55
_DISORDER_SLOTS: Final = 3
_PLAIN: Final = re.compile("|".join(PLAIN_TO_DISGUISED))


@dataclass(frozen=True)
class Truth:
    """What a record really is; live records do not say so."""

    topic: str
    label: Label
    disguised: bool


def record_at(seed: int, offset: int, plan: Plan) -> dict[str, Any]:
    """Return the record at *offset*, as the application would have written it."""
    draw, mix, _ = _start(seed, offset, plan)
    return _record(draw, offset, plan, mix)


def batch(seed: int, start: int, count: int, plan: Plan) -> list[dict[str, Any]]:
    """Return the *count* records from offset *start* on."""
    return [record_at(seed, offset, plan) for offset in range(start, start + count)]


def raw_at(seed: int, offset: int, plan: Plan) -> bytes:
    """Return the bytes that a consumer reads at *offset*: JSON, but for a few dirty ones."""
    draw, mix, dirt = _start(seed, offset, plan)
    record = _record(draw, offset, plan, mix)
    if dirt == "no_id":
        del record["id"]
    elif dirt == "bad_timestamp":
        record["timestamp"] = "yesterday, around noon"
    encoded = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
    return encoded[: len(encoded) // 2] if dirt == "not_an_object" else encoded


def dirt_at(seed: int, offset: int, plan: Plan) -> Dirt | None:
    """Return what is wrong with the bytes at *offset*, if anything."""
    return _start(seed, offset, plan)[2]


def truth_at(seed: int, offset: int, plan: Plan) -> Truth:
    """Return the topic and the right label of the record at *offset*."""
    draw, mix, _ = _start(seed, offset, plan)
    _, topic, disguised = _choose(draw, mix)
    return Truth(topic.name, topic.label, disguised)


def _start(seed: int, offset: int, plan: Plan) -> tuple[Draw, TopicMix, Dirt | None]:
    if offset < 0:
        raise ValueError(f"offset {offset} lies before the start of the stream")
    draw = Random(f"{seed}:{offset}").random  # noqa: S311  (a reproducible demo)
    u = draw()
    dirt = _DIRT[int(u / plan.dirty_share * len(_DIRT))] if u < plan.dirty_share else None
    return draw, mix_at(seed, offset // plan.records_per_window, plan), dirt


def _choose(draw: Draw, mix: TopicMix) -> tuple[int, Topic, bool]:
    """Choose channel and topic, and whether the words are disguised."""
    channel = bisect_right(_CHANNEL_BOUNDS, draw())
    topic = ALL_TOPICS[bisect_right(mix.cumulative[channel], draw())]
    disguised = mix.disguised and topic is PHARMACY and draw() >= _STILL_PLAIN
    return channel, topic, disguised


def _record(draw: Draw, offset: int, plan: Plan, mix: TopicMix) -> dict[str, Any]:
    channel, topic, disguised = _choose(draw, mix)
    text = _text(draw, topic)
    if disguised:
        text = _PLAIN.sub(lambda match: PLAIN_TO_DISGUISED[match[0]], text)
    return {
        "id": f"demo-{offset:06d}",
        "timestamp": _timestamp(draw, offset, plan),
        "text": text,
        "channel": CHANNELS[channel],
        "author": _author(draw, topic),
        "links": _links(draw, topic, text),
        "model": _prediction(draw, topic, fooled=disguised and draw() < _FOOLED_BY_DISGUISE),
    }


def _text(draw: Draw, topic: Topic) -> str:
    """Write one to three sentences, never the same one twice, perhaps greeted and closed."""
    count = topic.lengths[int(draw() * len(topic.lengths))]
    known = topic.sentences
    first, step = int(draw() * len(known)), 1 + int(draw() * 2)
    pieces = [_render(draw, known[(first + i * step) % len(known)]) for i in range(count)]
    if count < _LONG and draw() < _OPENED:
        openers = OPENERS[topic.label]
        pieces.insert(0, _render(draw, openers[int(draw() * len(openers))]))
    if draw() < topic.closed:
        closers = CLOSERS[topic.label]
        pieces.append(_render(draw, closers[int(draw() * len(closers))]))
    return " ".join(pieces)


def _render(draw: Draw, sentence: Sentence) -> str:
    return "".join(
        [part if isinstance(part, str) else part[int(draw() * len(part))] for part in sentence]
    )


def _timestamp(draw: Draw, offset: int, plan: Plan) -> str:
    """Spread a window's records evenly, a few places out of order, never outside the window."""
    window, place = divmod(offset, plan.records_per_window)
    late = (place + draw() * _DISORDER_SLOTS) * plan.window_ms / plan.records_per_window
    ms = plan.start_ms + window * plan.window_ms + min(plan.window_ms - 1, int(late))
    seconds, rest = divmod(ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def _author(draw: Draw, topic: Topic) -> str | None:
    if draw() < topic.no_author:
        return None
    return f"{FIRST_NAMES[int(draw() * len(FIRST_NAMES))].lower()}{int(draw() * 900)}"


def _links(draw: Draw, topic: Topic, text: str) -> int:
    """Count the links in the text; a mail's body may hold more of them than its text shows."""
    if draw() < topic.many_links:
        return 3 + int(draw() * 4)
    return min(2, text.count("://") + (1 if topic is WAVE else 0))


def _prediction(draw: Draw, topic: Topic, *, fooled: bool) -> dict[str, Any]:
    """Predict as a model does that was trained in quiet times: unsure where it is wrong."""
    right = draw() < topic.caught and not fooled
    other: Label = "ham" if topic.label == "spam" else "spam"
    score = 0.8 + 0.19 * draw() if right else 0.52 + 0.36 * draw()
    return {"label": topic.label if right else other, "score": round(score, 2)}
