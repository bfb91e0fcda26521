"""The root of tidegauge's error tree, and the part of it that concerns probes.

::

    TidegaugeError
    ├── ProbeError          a labeling function, template or ProbeSet is invalid
    │   └── MissingExtraError   a package is not installed (also an ImportError)
    ├── DocumentError       a YAML or JSON document cannot be read
    ├── CountsError         a stored pane cannot be read
    ├── BaselineError       a baseline is empty, foreign or unreadable
    ├── BudgetError         a budget of false alarms cannot be read
    ├── CivilTimeError      a time zone or a country's calendar is not known
    ├── DeliveryError       (tidegauge_alerts) a message could not be delivered
    └── SettingsError, SourceError, StoreError …   (tidegauge_service.errors)

Each message says what is wrong, where, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TidegaugeError(Exception):
    """Base class of every error that tidegauge raises on purpose."""


class ProbeError(TidegaugeError):
    """A labeling function, template, preprocessor or ProbeSet is invalid."""


class DocumentError(TidegaugeError):
    """A YAML or JSON document cannot be read: bad syntax, a duplicate key, its size."""


class MissingExtraError(ProbeError, ImportError):
    """A package that comes with an extra of ``tidegauge-probes`` is not installed."""


class CountsError(TidegaugeError):
    """Encoded counts are corrupt, foreign, or incompatible with the counts they are added to."""


class BaselineError(TidegaugeError):
    """A baseline is empty, belongs to another ProbeSet, or cannot be read."""


class BudgetError(TidegaugeError):
    """A budget of false alarms is not written as ``1 per quarter``."""


class CivilTimeError(TidegaugeError):
    """A time zone or a calendar is not known, or not written as one."""


_SHORTEST = 5
"""Letters of an abbreviation at least: most words have two or three of another in their order."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known word nearest to *word*, else a list.

    >>> nearest("lable", ["label", "name"])
    "; did you mean 'label'?"
    >>> nearest("missing_ts", ["missing_id", "missing_timestamp"])
    "; did you mean 'missing_timestamp'?"
    """
    options = sorted(set(known))
    meant = [option for option in options if _abbreviates(word, option)]
    close = meant if len(meant) == 1 else difflib.get_close_matches(word, options, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(options)}" if options else ""


def _abbreviates(word: str, whole: str) -> bool:
    """Whether a word of some length is another with letters left out."""
    letters = iter(whole)
    return _SHORTEST <= len(word) < len(whole) and all(letter in letters for letter in word)
