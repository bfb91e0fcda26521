"""Labeling functions, slicing functions and preprocessors with Snorkel's signatures.

A team without Snorkel writes ``from tidegauge_probes import labeling_function`` and changes
nothing else. Real Snorkel objects need no wrapping at all: the engine recognises them by
their shape (see :mod:`tidegauge_probes.engine`).
"""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tidegauge_probes.errors import ProbeError

Preprocess = Callable[[Any], Any]


def _refuse_bare_decorator(name: object, decorator: str) -> None:
    if callable(name):
        msg = f"@{decorator} is missing its parentheses: write @{decorator}()"
        raise ProbeError(msg)


class LabelingFunction:
    """A function that votes a class index for a record, or abstains with −1.

    *resources* are passed to *f* as keyword arguments; *pre* are run on the record first.
    """

    def __init__(
        self,
        name: str,
        f: Callable[..., int],
        resources: Mapping[str, Any] | None = None,
        pre: Sequence[Preprocess] | None = None,
    ) -> None:
        self.name = name
        self._f = f
        self._resources = dict(resources or {})
        self._pre = list(pre or [])

    def __call__(self, x: Any) -> int:
        """Vote on one record."""
        for preprocess in self._pre:
            x = preprocess(x)
            if x is None:
                msg = f"preprocessor {preprocess!r} of LF '{self.name}' returned None"
                raise ValueError(msg)
        return self._f(x, **self._resources)

    def __repr__(self) -> str:
        """Name the LF and its preprocessors, as Snorkel does."""
        return f"{type(self).__name__} {self.name}, Preprocessors: {self._pre}"


class SlicingFunction(LabelingFunction):
    """A function that says whether a record belongs to a slice."""


class labeling_function:  # noqa: N801  (Snorkel's name)
    """Decorator that makes a :class:`LabelingFunction`.

    >>> @labeling_function()
    ... def big(x):
    ...     return 1 if x.num > 42 else -1
    >>> big.name
    'big'
    """

    _makes: type[LabelingFunction] = LabelingFunction

    def __init__(
        self,
        name: str | None = None,
        resources: Mapping[str, Any] | None = None,
        pre: Sequence[Preprocess] | None = None,
    ) -> None:
        _refuse_bare_decorator(name, type(self).__name__)
        self.name = name
        self.resources = resources
        self.pre = pre

    def __call__(self, f: Callable[..., Any]) -> LabelingFunction:
        name = self.name or f.__name__
        return self._makes(name=name, f=f, resources=self.resources, pre=self.pre)


class slicing_function(labeling_function):  # noqa: N801  (Snorkel's name)
    """Decorator that makes a :class:`SlicingFunction`."""

    _makes = SlicingFunction


class _Mapper:
    """What preprocessors share: a name, nested preprocessors, and a copy of the record.

    ``memoize`` is accepted for Snorkel's sake; the engine runs each chain once per record
    anyway and forgets it with the batch, so no cache can grow.
    """

    def __init__(
        self,
        name: str,
        pre: Sequence[Preprocess] | None = None,
        memoize: bool = False,  # noqa: FBT001, FBT002  (Snorkel's signature)
        memoize_key: Callable[[Any], Any] | None = None,
    ) -> None:
        self.name = name
        self._pre = list(pre or [])
        self.memoize = memoize
        self._memoize_key = memoize_key

    def _map(self, x: Any) -> Any:
        raise NotImplementedError

    def __call__(self, x: Any) -> Any:
        """Map a copy of the record; the original stays as it is."""
        return self._map(self._prepared(x))

    def _prepared(self, x: Any) -> Any:
        """Return a copy of the record after the nested preprocessors."""
        mapped = pickle.loads(pickle.dumps(x))  # noqa: S301  (our own bytes; as Snorkel copies)
        for preprocess in self._pre:
            mapped = preprocess(mapped)
        return mapped

    def __repr__(self) -> str:
        """Name the preprocessor and what runs before it."""
        return f"{type(self).__name__} {self.name}, Pre: {self._pre}"


class LambdaPreprocessor(_Mapper):
    """A preprocessor made of a function from record to record."""

    def __init__(
        self,
        name: str,
        f: Preprocess,
        pre: Sequence[Preprocess] | None = None,
        memoize: bool = False,  # noqa: FBT001, FBT002  (Snorkel's signature)
        memoize_key: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(name, pre, memoize, memoize_key)
        self._f = f

    def _map(self, x: Any) -> Any:
        return self._f(x)


class Preprocessor(_Mapper):
    """Base class of preprocessors that map named fields to new fields in ``run``."""

    def __init__(  # noqa: PLR0917  (Snorkel's signature)
        self,
        name: str,
        field_names: Mapping[str, str] | None = None,
        mapped_field_names: Mapping[str, str] | None = None,
        pre: Sequence[Preprocess] | None = None,
        memoize: bool = False,  # noqa: FBT001, FBT002
        memoize_key: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(name, pre, memoize, memoize_key)
        parameters = list(inspect.signature(self.run).parameters)
        self.field_names = dict(field_names or {p: p for p in parameters})
        self.mapped_field_names = mapped_field_names

    def run(self, **fields: Any) -> Mapping[str, Any] | None:
        """Return the new fields; implemented by the user's class."""
        raise NotImplementedError

    def _map(self, x: Any) -> Any:
        fields = self.run(**{k: getattr(x, v) for k, v in self.field_names.items()})
        return None if fields is None else self._updated(x, fields)

    def _updated(self, x: Any, fields: Mapping[str, Any]) -> Any:
        if self.mapped_field_names is not None:
            fields = {v: fields[k] for k, v in self.mapped_field_names.items()}
        for name, value in fields.items():
            setattr(x, name, value)
        return x


class preprocessor:  # noqa: N801  (Snorkel's name)
    """Decorator that makes a :class:`LambdaPreprocessor`."""

    def __init__(
        self,
        name: str | None = None,
        pre: Sequence[Preprocess] | None = None,
        memoize: bool = False,  # noqa: FBT001, FBT002  (Snorkel's signature)
        memoize_key: Callable[[Any], Any] | None = None,
    ) -> None:
        _refuse_bare_decorator(name, "preprocessor")
        self.name = name
        self.pre = pre
        self.memoize = memoize
        self.memoize_key = memoize_key

    def __call__(self, f: Preprocess) -> LambdaPreprocessor:
        name = self.name or str(getattr(f, "__name__", "preprocessor"))
        return LambdaPreprocessor(name, f, self.pre, self.memoize, self.memoize_key)
