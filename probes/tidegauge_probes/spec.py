"""Strict pydantic models for files that people write, with errors that say what to do."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)  # fmt: skip
from pydantic_core import CoreSchema

from tidegauge_probes.errors import nearest


class Spec(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class ExactSpec(Spec):
    """A model whose JSON Schema refuses what it refuses: no text is taken for a number.

    ``EXACTLY_ONE``: fields of which exactly one is given; ``AT_LEAST_ONE``: of which at least one
    is. Null is as good as not given.
    """

    model_config = ConfigDict(strict=True, populate_by_name=False)

    EXACTLY_ONE: ClassVar[tuple[str, ...]] = ()
    AT_LEAST_ONE: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _given(self) -> Self:
        if self.EXACTLY_ONE:
            self._refuse(self.EXACTLY_ONE, "exactly one", most=1)
        if self.AT_LEAST_ONE:
            self._refuse(self.AT_LEAST_ONE, "at least one", most=len(self.AT_LEAST_ONE))
        return self

    def _refuse(self, names: tuple[str, ...], many: str, *, most: int) -> None:
        given = [self._key(name) for name in names if getattr(self, name) is not None]
        if not 1 <= len(given) <= most:
            known = ", ".join(map(self._key, names))
            msg = f"give {many} of {known} (found {' and '.join(given) or 'none'})"
            raise ValueError(msg)

    @classmethod
    def _key(cls, name: str) -> str:
        return cls.model_fields[name].alias or name

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Say in the schema, too, how many of the fields are given."""
        schema = handler(core)
        said = handler.resolve_ref_schema(schema)
        for word, names in (("oneOf", cls.EXACTLY_ONE), ("anyOf", cls.AT_LEAST_ONE)):
            if names:
                said[word] = [_present(cls._key(name)) for name in names]
        return schema


def _present(key: str) -> dict[str, Any]:
    return {"required": [key], "properties": {key: {"not": {"type": "null"}}}}


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
