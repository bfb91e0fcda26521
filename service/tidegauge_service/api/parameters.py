"""Query parameters that a route does not have, or was given twice, are errors on every route.

A filter with a typo would otherwise filter nothing, and its answer look right.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from fastapi import Request
from fastapi.dependencies.models import Dependant

from tidegauge_service.api.problems import Problem

PROBES: Final = frozenset({"/healthz", "/readyz"})
"""What load balancers ask, each with parameters of its own: a typo there must stop no service."""


async def refuse_unknown(request: Request) -> None:
    """Problem 422 with the parameters of the route, unless all given ones are among them."""
    if request.scope["path"] in PROBES:
        return
    given = Counter(name for name, _ in request.query_params.multi_items())
    known = sorted(set(_names(request.scope["route"].dependant)))
    for name, times in given.items():
        if name not in known:
            listed = ", ".join(known) or "none"
            detail = f"unknown parameter '{name[:100]}'; parameters: {listed}"
            raise Problem(422, "invalid_parameter", detail)
        if times > 1:
            raise Problem(422, "invalid_parameter", f"{name}: given {times} times; give it once")


def _names(dependant: Dependant) -> list[str]:
    inner = [name for part in dependant.dependencies for name in _names(part)]
    return [field.alias for field in dependant.query_params] + inner
