"""Strict pydantic models for files that people write, with errors that say what to do."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from tidegauge_probes.errors import nearest


class Spec(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def explain(error: ValidationError, spec: type[BaseModel]) -> str:
    """Return one line per problem: where, what, and the nearest known key."""
    return "\n".join(_explain_one(dict(problem), spec) for problem in error.errors())


def _explain_one(problem: dict[str, Any], spec: type[BaseModel]) -> str:
    location = problem["loc"]
    where = ".".join(str(part) for part in location) or "(top level)"
    if problem["type"] == "extra_forbidden":
        return f"  {where}: unknown key{nearest(str(location[-1]), _keys_at(location, spec))}"
    if problem["type"] == "missing":
        return f"  {where}: this key is needed and missing"
    if not location:  # a rule about several keys: the input is the whole file
        return f"  {problem['msg'].removeprefix('Value error, ')}"
    given = repr(problem.get("input"))
    shown = given if len(given) <= 80 else given[:77] + "..."  # noqa: PLR2004
    return f"  {where}: {problem['msg']} (got {shown})"


def _keys_at(location: tuple[Any, ...], spec: type[BaseModel]) -> list[str]:
    """Known keys of the models that *location* passes through: near enough for a hint."""
    models = [spec]
    for part in location[:-1]:
        nested = [m for model in models for m in _models_of(model, str(part))]
        models = nested or models
    return [field.alias or name for m in models for name, field in m.model_fields.items()]


def _models_of(model: type[BaseModel], key: str) -> list[type[BaseModel]]:
    for name, field in model.model_fields.items():
        if key in (name, field.alias):
            return _models_in(field.annotation)
    return []


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in getattr(annotation, "__args__", ()) for m in _models_in(part)]
