"""spaCy's pipelines: loaded once, held for a batch, told apart by content.

spaCy is an optional extra and is imported only here, when the first LF that needs it is made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakValueDictionary

from tidegauge_probes.errors import ProbeError
from tidegauge_probes.lazy import imported

EN_CORE_WEB_SM: Final = "en_core_web_sm"
"""Snorkel's default model."""

_LOADED: Final[WeakValueDictionary[tuple[str, tuple[str, ...]], Any]] = WeakValueDictionary()
"""(language, disabled components) → pipeline, for as long as some LF uses it."""

_ONE_AT_A_TIME: Final = RLock()
"""Held by the batch that uses a pipeline: what ends with one thread's batch would take the words
of another's with it."""

WARM: Final = 2_000
"""Texts whose words a pipeline keeps. The common ones are among them: its tokenizer, which would
else begin every batch anew, is several times as fast on words that it knows."""

_PART: Final = 1 << 20
"""Bytes of a model's file that are hashed at once."""

_SEEN: Final[WeakKeyDictionary[Any, int]] = WeakKeyDictionary()
"""Pipeline → texts, counted until it is warm."""


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


def is_pipeline(value: object) -> bool:
    """Whether *value* is a spaCy pipeline: its own class or a language's, without importing it."""
    return any(
        f"{c.__module__}.{c.__name__}" == "spacy.language.Language" for c in type(value).__mro__
    )


def description(nlp: Any) -> Any:
    """Return plain data that stands for what a pipeline says of a text.

    What it was loaded from, file by file (wherever the folder is), and which components run. One
    made in memory has no files: its own account of itself and its settings stand for it.
    """
    folder = nlp.path
    if folder is None:
        found = {"meta": nlp.meta, "config": nlp.config.to_str()}
    else:
        found = {"files": _files(Path(folder))}
    return {"type": "spacy", **found, "components": nlp.pipe_names}


def _files(folder: Path) -> dict[str, str]:
    """Return path → SHA-256 of what a pipeline was loaded from."""
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    )
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in paths}


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        digest = hashlib.sha256()
        for part in iter(partial(opened.read, _PART), b""):
            digest.update(part)
        return digest.hexdigest()
