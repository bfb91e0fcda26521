"""spaCy's pipelines, described for the hash of a ProbeSet without importing spaCy."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any, Final

_PART: Final = 1 << 20
"""Bytes of a model's file to hash at a time."""


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
