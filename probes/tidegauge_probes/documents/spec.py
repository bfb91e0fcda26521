"""Strict pydantic models for files that people write."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema
from typing_extensions import Self


class Spec(BaseModel):
    """A frozen model that refuses unknown keys.

    Pydantic's own error text contains no values, because they may be secret: ``explain`` decides
    what is shown.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True
    )


class ExactSpec(Spec):
    """A model whose JSON Schema rejects exactly what it rejects: no string passes as a number.

    ``EXACTLY_ONE``: fields of which exactly one must be given; ``AT_LEAST_ONE``: at least one.
    Null counts as not given.
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
        """Say in the schema, too, how many of the fields must be given."""
        schema = handler(core)
        document = handler.resolve_ref_schema(schema)
        for word, names in (("oneOf", cls.EXACTLY_ONE), ("anyOf", cls.AT_LEAST_ONE)):
            if names:
                document[word] = [_present(cls._key(name)) for name in names]
        return schema


def _present(key: str) -> dict[str, Any]:
    return {"required": [key], "properties": {key: {"not": {"type": "null"}}}}
