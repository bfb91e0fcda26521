"""Labeling functions over spaCy's docs, with the signatures of Snorkel's ``nlp_labeling_function``.

LFs with the same fields, model and preprocessors share one spaCy stage: each record of a batch is
parsed once, all of them by one ``nlp.pipe``, and the docs are dropped with the batch. Snorkel's
own ``NLPLabelingFunction`` runs as it is instead, record by record (one parse each, too): sums of
a neural model may differ in the last digit between one text and many, and its votes are to be
Snorkel's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from weakref import WeakValueDictionary

from tidegauge_probes.columns.scope import Scope
from tidegauge_probes.interrupts import pass_on_interrupt
from tidegauge_probes.labeling import spacy_models
from tidegauge_probes.labeling.decorators import (
    LabelingFunction,
    Preprocess,
    Preprocessor,
    SlicingFunction,
    labeling_function,
)
from tidegauge_probes.labeling.spacy_models import EN_CORE_WEB_SM


class SpacyPreprocessor(Preprocessor):
    """Adds spaCy's doc of one field as another field.

    ``memoize`` is accepted for Snorkel's sake: within a batch nothing is parsed twice anyway.
    ProbeError if spaCy or the model is not installed.
    """

    def __init__(  # noqa: PLR0917  (Snorkel's signature)
        self,
        text_field: str,
        doc_field: str,
        language: str = EN_CORE_WEB_SM,
        disable: Sequence[str] | None = None,
        pre: Sequence[Preprocess] | None = None,
        memoize: bool = False,  # noqa: FBT001, FBT002
        memoize_key: Callable[[Any], Any] | None = None,
        gpu: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        super().__init__(
            type(self).__name__,
            field_names={"text": text_field},
            mapped_field_names={"doc": doc_field},
            pre=pre,
            memoize=memoize,
            memoize_key=memoize_key,
        )
        # The model's files tell ProbeSets apart, not where they lie: its name is not kept.
        self._nlp = spacy_models.load(language, disable or (), gpu=gpu)

    def run(self, text: str) -> Mapping[str, Any]:  # type: ignore[override]
        """Parse one text."""
        return {"doc": self._nlp(text)}

    def map_batch(self, views: Sequence[Any], scope: Scope) -> list[Any]:
        """Map all records of a batch; a failure, before or here, is in its record's place.

        Docs are valid until *scope* is closed.
        """
        scope.hold(self._nlp, spacy_models.zone)
        copies = [_attempt(self._prepared, view) for view in views]
        texts = {row: text for row, x in enumerate(copies) if (text := self._plain(x)) is not None}
        spacy_models.seen(self._nlp, len(texts))
        docs = dict(zip(texts, self._piped(list(texts.values())), strict=False))
        return [
            _attempt(self._map if row not in docs else self._with(docs[row]), x)
            for row, x in enumerate(copies)
        ]

    def _plain(self, x: Any) -> str | None:
        """Return a text that a pipe takes; the others are told apart one by one."""
        text = getattr(x, self.field_names["text"], None)
        return text if type(text) is str and len(text) <= self._nlp.max_length else None

    def _piped(self, texts: list[str]) -> list[Any]:
        """Return all docs, or none if one text failed: a pipe does not say which."""
        try:
            return list(self._nlp.pipe(texts))
        except BaseException as error:  # noqa: BLE001  (its record raises it again)
            pass_on_interrupt(error)
            return []

    def _with(self, doc: Any) -> Preprocess:
        return lambda x: self._updated(x, {"doc": doc})


def _attempt(step: Preprocess, x: Any) -> Any:
    """Return what *step* makes of a record, or the failure; a record that failed stays failed."""
    if isinstance(x, BaseException):
        return x
    try:
        return step(x)
    except BaseException as error:  # noqa: BLE001  (user code may raise anything)
        pass_on_interrupt(error)
        return error


_SHARED: Final[WeakValueDictionary[tuple[Any, ...], SpacyPreprocessor]] = WeakValueDictionary()


def _shared(
    pre: Sequence[Preprocess], memoize_key: Callable[[Any], Any] | None, **settings: Any
) -> SpacyPreprocessor:
    """Return the one preprocessor of these settings. It keeps *pre* alive, so ids are theirs."""
    disable = tuple(settings.pop("disable") or ())
    key = (*settings.values(), disable, *map(id, pre))
    found = _SHARED.get(key)
    if found is None:
        found = SpacyPreprocessor(pre=pre, memoize_key=memoize_key, disable=disable, **settings)
        _SHARED[key] = found
    return found


class NLPLabelingFunction(LabelingFunction):
    """An LF that finds spaCy's doc of ``text_field`` in ``doc_field``.

    *pre* run before spaCy. Unlike Snorkel's, LFs may differ in fields and models.
    """

    def __init__(  # noqa: PLR0917  (Snorkel's signature)
        self,
        name: str,
        f: Callable[..., Any],
        resources: Mapping[str, Any] | None = None,
        pre: Sequence[Preprocess] | None = None,
        text_field: str = "text",
        doc_field: str = "doc",
        language: str = EN_CORE_WEB_SM,
        disable: Sequence[str] | None = None,
        memoize: bool = True,  # noqa: FBT001, FBT002
        memoize_key: Callable[[Any], Any] | None = None,
        gpu: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        stage = _shared(
            pre or (),
            memoize_key,
            text_field=text_field,
            doc_field=doc_field,
            language=language,
            disable=disable,
            memoize=memoize,
            gpu=gpu,
        )
        super().__init__(name, f, resources, [stage])


class NLPSlicingFunction(NLPLabelingFunction, SlicingFunction):
    """A slicing function over spaCy's doc."""


class nlp_labeling_function(labeling_function):  # noqa: N801  (Snorkel's name)
    """Decorator that makes an :class:`NLPLabelingFunction`."""

    _makes: type[NLPLabelingFunction] = NLPLabelingFunction

    def __init__(  # noqa: PLR0917  (Snorkel's signature)
        self,
        name: str | None = None,
        resources: Mapping[str, Any] | None = None,
        pre: Sequence[Preprocess] | None = None,
        text_field: str = "text",
        doc_field: str = "doc",
        language: str = EN_CORE_WEB_SM,
        disable: Sequence[str] | None = None,
        memoize: bool = True,  # noqa: FBT001, FBT002
        memoize_key: Callable[[Any], Any] | None = None,
        gpu: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        super().__init__(name, resources, pre)
        self._settings: dict[str, Any] = {
            "text_field": text_field,
            "doc_field": doc_field,
            "language": language,
            "disable": disable,
            "memoize": memoize,
            "memoize_key": memoize_key,
            "gpu": gpu,
        }

    def __call__(self, f: Callable[..., Any]) -> NLPLabelingFunction:
        name = self.name or f.__name__
        return self._makes(name, f, self.resources, self.pre, **self._settings)


class nlp_slicing_function(nlp_labeling_function):  # noqa: N801  (Snorkel's name)
    """Decorator that makes an :class:`NLPSlicingFunction`."""

    _makes = NLPSlicingFunction
