"""Names of the standard library that Python 3.10 lacks, or keeps elsewhere.

The training side runs where notebooks run, and many still run Python 3.10. ``make lint`` checks
this package against the standard library of 3.10, too.
"""

from __future__ import annotations

import re
import sys
import warnings
from typing import Any

if sys.version_info >= (3, 11):
    from enum import StrEnum
    from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
else:
    import sre_compile as _compiler
    import sre_constants as _constants
    import sre_parse as _parser
    from enum import Enum

    class StrEnum(str, Enum):
        """``enum.StrEnum`` of Python 3.11: a member is its value wherever it is printed."""

        __str__ = str.__str__

        def __format__(self, spec: str) -> str:
            return str.__format__(self.value, spec)

        @staticmethod
        def _generate_next_value_(name: str, *_: Any) -> str:
            return name.lower()


__all__ = ["StrEnum", "re_compile", "re_compiler", "re_constants", "re_parser"]

# What `re` itself is made of. Possessive quantifiers and atomic groups came with Python 3.11:
# before, `re` refuses them, and `_constants` has no name for them.
re_compiler: Any = _compiler
re_constants: Any = _constants
re_parser: Any = _parser


def re_compile(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """Compile a pattern; re.error for flags of the whole pattern inside of it, as ``a(?i)b``.

    Python 3.10 only warns of them, and 3.11 refuses them: a ProbeSet that is written on one must
    load on the other.
    """
    if sys.version_info < (3, 11):
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            try:
                re_compiler.compile(pattern, flags)  # not `re.compile`, whose cache never warns
            except DeprecationWarning as warning:
                raise re.error(str(warning), pattern) from warning
    return re.compile(pattern, flags)
