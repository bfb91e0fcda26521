"""Comments below videos, ham or spam: keywords, patterns, preprocessors, heuristics."""

from __future__ import annotations

import random
import re
from functools import partial
from typing import Any

from tests.parity.tutorials.kit import Kit

CLASSES = ("HAM", "SPAM")
ABSTAIN, HAM, SPAM = -1, 0, 1

PRAISE = {"lovely": 0.9, "great": 0.7, "fine": 0.2, "awful": -0.8, "boring": -0.5}
OPENINGS = ["what a lovely tune", "Great chorus!", "boring", "I grew up with this", "awful mix"]
PITCHES = [
    "Check this out",
    "please SUBSCRIBE to my channel",
    "win a prize at www.example.org",
    "my new track: https://example.com/t",
    "plz follow me",
]
TAILS = ["", " :)", " tonight", " ten times a day since the summer of that year", "!!!"]


def records(seed: int, count: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [_comment(rng, n) for n in range(count)]


def _comment(rng: random.Random, n: int) -> dict[str, Any]:
    parts = rng.choices(OPENINGS + PITCHES, k=rng.randint(1, 3))
    return {
        "number": n,
        "text": ", ".join(parts) + rng.choice(TAILS),
        "author": rng.choice(["ann", "bob", "MusicFan77", None, "x4821"]),
        "likes": rng.randint(0, 40),
        "replies": [rng.choice(["yes", "no", "spam!"]) for _ in range(rng.randint(0, 3))],
    }


def keyword_lookup(x: Any, keywords: list[str], label: int) -> int:
    return label if any(word in x.text.lower() for word in keywords) else ABSTAIN


class Sentiment:
    """Stands for a library's scorer: slow to make, so made once and handed on."""

    def __init__(self, scores: dict[str, float]) -> None:
        self.scores = scores

    def polarity(self, text: str) -> float:
        found = [self.scores[w] for w in re.findall(r"\w+", text.lower()) if w in self.scores]
        return sum(found) / len(found) if found else 0.0


def lfs(kit: Kit) -> list[Any]:  # noqa: C901  (many small LFs)
    def make_keyword_lf(keywords: list[str], label: int = SPAM) -> Any:
        return kit.LabelingFunction(
            name=f"keyword_{keywords[0]}",
            f=keyword_lookup,
            resources={"keywords": keywords, "label": label},
        )

    scorer = Sentiment(PRAISE)

    def seen(x: Any) -> tuple[int, bool]:
        # By the number alone, Snorkel would take a record with a thread for one without.
        return x.number, hasattr(x, "thread")

    @kit.preprocessor(memoize=True, memoize_key=seen)
    def sentiment(x: Any) -> Any:
        x.polarity = scorer.polarity(x.text)
        return x

    @kit.preprocessor(memoize=True)
    def combined(x: Any) -> Any:
        x.thread = " / ".join([x.text, *x.replies])
        return x

    class Tokens(kit.Preprocessor):  # type: ignore[misc, name-defined]
        """Maps named fields to named fields, in a class."""

        def __init__(self) -> None:
            super().__init__("tokens", {"body": "text"}, {"tokens": "words", "count": "word_count"})

        def run(self, body: str) -> dict[str, Any]:
            tokens = body.split()
            return {"tokens": tokens, "count": len(tokens)}

    tokens = Tokens()

    @kit.labeling_function()
    def check_out(x: Any) -> int:
        return SPAM if re.search(r"check.*out", x.text, flags=re.IGNORECASE) else ABSTAIN

    @kit.labeling_function()
    def has_link(x: Any) -> int:
        return SPAM if re.search(r"https?://|www\.", x.text) else ABSTAIN

    @kit.labeling_function(name="praise", pre=[sentiment])
    def kind_words(x: Any) -> int:
        return HAM if x.polarity > 0.6 else ABSTAIN

    @kit.labeling_function(pre=[sentiment])
    def complains(x: Any) -> int:
        return HAM if x.polarity < -0.4 else ABSTAIN

    @kit.labeling_function(pre=[tokens])
    def short_comment(x: Any) -> int:
        return HAM if x.word_count < 5 else ABSTAIN

    @kit.labeling_function(pre=[tokens])
    def repeats_itself(x: Any) -> int:
        return SPAM if len(set(x.words)) < len(x.words) else ABSTAIN

    @kit.labeling_function(pre=[combined])
    def called_spam(x: Any) -> int:
        return SPAM if "spam!" in x.thread else ABSTAIN

    @kit.labeling_function(pre=[combined, sentiment])
    def warm_thread(x: Any) -> int:
        return HAM if x.polarity > 0 and "yes" in x.thread else ABSTAIN

    @kit.labeling_function()
    def anonymous(x: Any) -> int:
        if x.author is None:
            return SPAM
        return HAM if x.author.isalpha() else ABSTAIN

    return [
        make_keyword_lf(["my"]),
        make_keyword_lf(["subscribe"]),
        make_keyword_lf(["please", "plz"]),
        make_keyword_lf(["tune", "chorus"], HAM),
        check_out,
        has_link,
        kind_words,
        complains,
        short_comment,
        repeats_itself,
        called_spam,
        warm_thread,
        anonymous,
        kit.LabelingFunction("liked", lambda x: HAM if x.likes >= 30 else ABSTAIN),
        kit.LabelingFunction("follow", partial(keyword_lookup, keywords=["follow"], label=SPAM)),
    ]


def slices(kit: Kit) -> list[Any]:
    @kit.slicing_function()
    def short_link(x: Any) -> bool:
        return bool(re.search(r"www\.\w+\.org", x.text))

    @kit.slicing_function(name="busy", resources={"above": 2})
    def busy_thread(x: Any, above: int) -> bool:
        return len(x.replies) > above

    return [
        short_link,
        busy_thread,
        kit.SlicingFunction("unliked", lambda x: x.likes == 0),
    ]
