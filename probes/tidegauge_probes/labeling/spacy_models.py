"""spaCy's pipelines: loaded once, held for a batch.

spaCy is an optional extra and is imported only here, when the first LF that needs it is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from threading import RLock
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakValueDictionary

from tidegauge_probes.errors import ProbeError
from tidegauge_probes.lazy import imported

EN_CORE_WEB_SM: Final = "en_core_web_sm"
"""Snorkel's default model."""

_LOADED: Final[WeakValueDictionary[tuple[str, tuple[str, ...]], Any]] = WeakValueDictionary()
"""(language, disabled components) → pipeline, for as long as an LF uses it."""

_ONE_AT_A_TIME: Final = RLock()
"""Held by the batch that uses a pipeline: cleanup after one thread's batch would remove the words
that another is using."""

WARM: Final = 2_000
"""Number of texts whose words a pipeline keeps. They include the common words, on which its
tokenizer is several times as fast, so it does not start from nothing with every batch."""

_SEEN: Final[WeakKeyDictionary[Any, int]] = WeakKeyDictionary()
"""Pipeline → texts, counted until it has warmed up."""


def load(language: str, disable: Sequence[str] = (), *, gpu: bool = False) -> Any:
    """Return the pipeline *language*, a package's name or a folder; ProbeError if there is none."""
    spacy = imported("spacy", extra="nlp")
    if gpu:
        spacy.prefer_gpu()
    key = (language, tuple(disable))
    found = _LOADED.get(key)
    if found is None:
        try:
            found = spacy.load(language, disable=list(disable))
        except OSError as error:
            msg = f"spaCy cannot load the model '{language}' ({error})"
            hint = "install it (python -m spacy download NAME), or give the path of its folder"
            raise ProbeError(f"{msg}: {hint}") from error
        _LOADED[key] = found
    return found


@contextmanager
def zone(nlp: Any) -> Iterator[None]:
    """Hold a pipeline for a batch; the words it learns meanwhile are forgotten at the end.

    Otherwise each new word of the traffic (an address, a number) would stay in memory for good.
    Only the first ``WARM`` texts, and the rest of their batch, leave their words behind.
    """
    with _ONE_AT_A_TIME, nullcontext() if _SEEN.get(nlp, 0) < WARM else nlp.memory_zone():
        yield


def seen(nlp: Any, texts: int) -> None:
    """Count the texts of a batch; called while the pipeline is held."""
    if _SEEN.get(nlp, 0) < WARM:
        _SEEN[nlp] = _SEEN.get(nlp, 0) + texts
