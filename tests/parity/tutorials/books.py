"""Will a reader like a book? LFs over histories and ratings of others, and over reviews."""

from __future__ import annotations

import random
from typing import Any

from tests.parity.tutorials.kit import Kit

CLASSES = ("NEGATIVE", "POSITIVE")
ABSTAIN, NEGATIVE, POSITIVE = -1, 0, 1

BOOKS = 60
LANGUAGES = ["eng", "nld", "fin", None]
REVIEWS = ["", "could not put it down", "gave up after ten pages", "so-so", "a gem, a gem", "meh"]


def records(seed: int, count: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {
            "user": rng.randint(0, 200),
            "book": rng.randrange(BOOKS),
            "read": frozenset(rng.sample(range(BOOKS), k=rng.randint(0, 12))),
            "mean_rating": rng.choice([None, round(rng.uniform(1, 5), 1)]),
            "ratings_count": rng.randint(0, 300),
            "review": rng.choice(REVIEWS),
            "years": (rng.randint(1950, 2020), 2024),
        }
        for _ in range(count)
    ]


def catalogue() -> dict[int, dict[str, Any]]:
    rng = random.Random(3)
    return {
        book: {
            "authors": {f"author {rng.randint(0, 14)}"},
            "language": rng.choice(LANGUAGES),
        }
        for book in range(BOOKS)
    }


def lfs(kit: Kit) -> list[Any]:  # noqa: C901  (many small LFs)
    books = catalogue()

    def with_entry(x: Any) -> Any:
        x.entry = books[x.book]
        return x

    def reading(x: Any) -> tuple[Any, ...]:
        return x.user, x.book, x.read

    entry = kit.LambdaPreprocessor("entry", with_entry, memoize=True, memoize_key=reading)

    def share_of_author(x: Any) -> Any:
        # Built by hand, on what another preprocessor has added.
        known = [book for book in x.read if books[book]["authors"] & x.entry["authors"]]
        x.by_author = len(known)
        return x

    by_author = kit.LambdaPreprocessor("by_author", share_of_author, pre=[entry])

    @kit.labeling_function(resources={"books": books})
    def shared_author(x: Any, books: dict[int, dict[str, Any]]) -> int:
        mine = books[x.book]["authors"]
        return POSITIVE if any(books[book]["authors"] & mine for book in x.read) else ABSTAIN

    @kit.labeling_function(pre=[by_author])
    def devoted(x: Any) -> int:
        return POSITIVE if x.by_author > 1 else ABSTAIN

    @kit.labeling_function()
    def well_rated(x: Any) -> int:
        if x.mean_rating is None:
            return ABSTAIN
        if x.mean_rating >= 4:
            return POSITIVE
        return NEGATIVE if x.mean_rating < 2.5 else ABSTAIN

    @kit.labeling_function()
    def popular(x: Any) -> int:
        return POSITIVE if (x.mean_rating or 0) > 3 and x.ratings_count > 200 else ABSTAIN

    @kit.labeling_function()
    def unknown(x: Any) -> int:
        return NEGATIVE if not x.ratings_count // 20 else ABSTAIN

    @kit.labeling_function(pre=[entry])
    def unread_language(x: Any) -> Any:
        # A truth value: False is class 0, NEGATIVE.
        return False if x.entry["language"] is None else ABSTAIN

    @kit.labeling_function()
    def praised(x: Any) -> int:
        return POSITIVE if "gem" in x.review or x.review.startswith("could not") else ABSTAIN

    @kit.labeling_function()
    def dropped(x: Any) -> int:
        return NEGATIVE if x.review in {"meh", "gave up after ten pages"} else ABSTAIN

    @kit.labeling_function()
    def old(x: Any) -> int:
        written, now = x.years
        return NEGATIVE if now - written > 60 else ABSTAIN

    class ReadBefore(kit.LabelingFunction):  # type: ignore[misc, name-defined]
        """A subclass with its own ``__call__``."""

        def __init__(self) -> None:
            super().__init__("read_before", lambda _: ABSTAIN)

        def __call__(self, x: Any) -> int:
            return POSITIVE if x.book in x.read else ABSTAIN

    class Hopper(kit.LabelingFunction):  # type: ignore[misc, name-defined]
        """A subclass that brings its function along."""

        def __init__(self, above: int) -> None:
            self.above = above
            super().__init__("hopper", self._vote)

        def _vote(self, x: Any) -> int:
            return NEGATIVE if len(x.read) > self.above else ABSTAIN

    return [
        shared_author,
        devoted,
        well_rated,
        popular,
        unknown,
        unread_language,
        praised,
        dropped,
        old,
        ReadBefore(),
        Hopper(9),
    ]
