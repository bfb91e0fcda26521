"""Say what is wrong with a file in plain words: where, what, and the nearest known key.

Pydantic reports a problem for each branch of a union, and puts the branch's name into the location.
Readers want one: that of the branch they most likely meant. What they wrote may be a password, so
the value of a secret field is never shown, nor is any list or mapping.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, JsonValue, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from tidegauge_probes.errors import nearest

SECRET: Final[dict[str, JsonValue]] = {"secret": True}
"""``json_schema_extra`` of a field that contains secrets but has no secret type."""

_SHOWN: Final = 80
_CREDENTIALS: Final = re.compile(r"(?<=://)[^\s]*@")
_KINDS: Final = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    tuple: "a list",
    dict: "a mapping",
}
_WORDS: Final = (
    (", unable to parse string as an integer", ""),
    (", unable to parse string as a number", ""),
    (", unable to interpret input", ""),
    ("Value error, ", ""),
    ("Input should be a valid string", "must be a string"),
    ("Input should be a valid integer", "must be a whole number"),
    ("Input should be a valid number", "must be a number"),
    ("Input should be a valid boolean", "must be true or false"),
    ("Input should be a valid list", "must be a list"),
    ("Input should be a valid tuple", "must be a list"),
    ("Input should be a valid dictionary", "must be a mapping"),
    ("Input should be", "must be"),
    ("String should", "must"),
    ("List should", "must"),
)


@dataclass(frozen=True)
class _Branch:
    """One of several ways to read a value; ``at`` is the path of that value."""

    at: tuple[str, ...]
    annotation: Any
    among: tuple[Any, ...]


@dataclass(frozen=True)
class _Problem:
    """A pydantic problem, with a location that has no branch names."""

    kind: str
    message: str
    given: Any
    path: tuple[str, ...] = ()
    branches: tuple[_Branch, ...] = ()
    owner: type[BaseModel] | None = None
    secret: bool = False
    context: dict[str, Any] = field(default_factory=dict)


def explain(error: ValidationError, spec: type[BaseModel]) -> str:
    """Return one line per problem; none shows the value of a secret field."""
    found = [_placed(problem, spec) for problem in error.errors(include_url=False)]
    return "\n".join(_line(problem) for problem in _chosen(found, 0))


# -- Where it is ------------------------------------------------------------------------------


def _placed(problem: Any, spec: type[BaseModel]) -> _Problem:
    start = _Problem(
        problem["type"], problem["msg"], problem.get("input"), context=problem.get("ctx") or {}
    )
    return _walk(start, spec, tuple(problem["loc"]))


def _walk(found: _Problem, annotation: Any, location: tuple[Any, ...]) -> _Problem:
    """Follow a location through the types, and drop the parts that name a branch."""
    if not location:
        return found
    annotation = _bare(annotation)
    options = _options(annotation)
    if len(options) > 1:
        return _into_branch(found, options, location)
    only = _bare(options[0]) if options else annotation
    part = str(location[0])
    if isinstance(only, type) and issubclass(only, BaseModel):
        return _into_field(found, only, location)
    inner = get_args(only)
    if get_origin(only) in {list, tuple, dict, set} and inner:
        element = inner[-1] if get_origin(only) is dict else inner[0]
        return _walk(replace(found, path=(*found.path, part)), element, location[1:])
    kept = () if part.startswith(("function-", "constrained-")) else (part,)
    return _walk(replace(found, path=found.path + kept), Any, location[1:])


def _into_branch(found: _Problem, options: tuple[Any, ...], location: tuple[Any, ...]) -> _Problem:
    label = str(location[0])
    tagged = next((option for option in options if label in _tags(option)), None)
    if tagged is not None:
        return _walk(found, tagged, location[1:])
    meant = next((option for option in options if _label(option) == label), None)
    branch = _Branch(found.path, meant, options)
    into = replace(found, branches=(*found.branches, branch))
    return _walk(into, Any if meant is None else meant, location[1:])


def _into_field(found: _Problem, model: type[BaseModel], location: tuple[Any, ...]) -> _Problem:
    key = str(location[0])
    known = ((name, info) for name, info in model.model_fields.items() if key in {name, info.alias})
    name, info = next(known, (key, None))
    into = replace(
        found,
        path=(*found.path, (info and info.alias) or name),
        owner=model,
        secret=found.secret or (info is not None and _is_secret(info)),
    )
    return _walk(into, Any if info is None else info.annotation, location[1:])


def _bare(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def _options(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) not in {Union, types.UnionType}:
        return ()
    return tuple(_bare(one) for one in get_args(annotation) if one is not type(None))


def _tags(option: Any) -> set[str]:
    """Return the values of a model's literal fields, which tell one kind from another."""
    if not (isinstance(option, type) and issubclass(option, BaseModel)):
        return set()
    literals = (info.annotation for info in option.model_fields.values() if info.is_required())
    return {str(arg) for one in literals if get_origin(one) is Literal for arg in get_args(one)}


def _label(option: Any) -> str:
    return str(getattr(option, "__name__", option))


def _is_secret(info: FieldInfo) -> bool:
    marked = isinstance(info.json_schema_extra, dict) and bool(info.json_schema_extra.get("secret"))
    return marked or _holds_secret(info.annotation)


def _holds_secret(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, SecretStr | SecretBytes):
        return True
    return any(_holds_secret(_bare(one)) for one in _options(_bare(annotation)))


# -- Which branch was meant -------------------------------------------------------------------


def _chosen(problems: Sequence[_Problem], depth: int) -> list[_Problem]:
    """Return the problems of one branch of each union."""
    groups: dict[Any, list[_Problem]] = {}
    for n, problem in enumerate(problems):
        key = problem.branches[depth].at if len(problem.branches) > depth else n
        groups.setdefault(key, []).append(problem)
    return [
        chosen
        for group in groups.values()
        for chosen in (_of_union(group, depth) if len(group[0].branches) > depth else group)
    ]


def _of_union(group: list[_Problem], depth: int) -> list[_Problem]:
    branch = group[0].branches[depth]
    by_option: dict[str, list[_Problem]] = {}
    for problem in group:
        by_option.setdefault(_label(problem.branches[depth].annotation), []).append(problem)
    right_type = {
        option: some
        for option, some in by_option.items()
        if not any(p.path == branch.at and p.kind.endswith("_type") for p in some)
    }
    if not right_type:
        return [_none_fits(group[0], branch)]
    ranked = sorted(right_type.values(), key=_distance)
    if len(ranked) > 1 and not _knows_any(ranked[0]):
        return [_none_fits(replace(group[0], given={}), branch)]
    return _chosen(ranked[0], depth + 1)


def _distance(problems: Sequence[_Problem]) -> tuple[int, int]:
    """Fewest unknown keys, then fewest problems: the keys given say most about what was meant."""
    return sum(p.kind == "extra_forbidden" for p in problems), len(problems)


def _knows_any(problems: Sequence[_Problem]) -> bool:
    """Whether a key of the branch was given, or one with nearly the same name."""
    missing = [p for p in problems if p.kind == "missing"]
    strange = [p for p in problems if p.kind == "extra_forbidden"]
    given = missing[0].given if missing else None
    known = not isinstance(given, dict) or len(given) > len(strange)
    return known or any("did you mean" in _unknown(p) for p in strange)


def _none_fits(first: _Problem, branch: _Branch) -> _Problem:
    options = [_described(option) for option in branch.among]
    known = ", ".join(options[:-1]) + f" or {options[-1]}"
    return replace(first, kind="union", path=branch.at, message=f"must be {known}")


def _described(option: Any) -> str:
    if isinstance(option, type) and issubclass(option, BaseModel):
        needed = [
            info.alias or name for name, info in option.model_fields.items() if info.is_required()
        ]
        return "{" + ", ".join(f"{key}: …" for key in needed) + "}"
    return _KINDS.get(get_origin(option) or option, _label(option))


# -- Wording ----------------------------------------------------------------------------------


def _line(problem: _Problem) -> str:
    where = ".".join(problem.path) or "(top level)"
    if problem.kind == "extra_forbidden":
        return f"  {where}: {_unknown(problem)}"
    if problem.kind == "missing":
        return f"  {where}: required key is missing"
    if problem.kind == "union_tag_not_found":
        tag = str(problem.context.get("discriminator", "'kind'")).strip("'")
        return f"  {where}.{tag}: required key is missing"
    if problem.kind == "union_tag_invalid":
        tag = str(problem.context.get("discriminator", "'kind'")).strip("'")
        known = problem.context.get("expected_tags", "")
        return f"  {where}.{tag}: must be one of {known}{_got(problem.context.get('tag'))}"
    message = "must be a mapping" if problem.kind == "model_type" else _plain(problem.message)
    if not problem.path:  # a rule about several keys: the input is the whole file
        return f"  {message}"
    # A rule about several keys of a mapping names them itself.
    rule = problem.kind == "value_error" and isinstance(problem.given, dict)
    shown = isinstance(problem.given, str) and f"'{problem.given}'" in message
    return f"  {where}: {message}{'' if problem.secret or rule or shown else _got(problem.given)}"


def _unknown(problem: _Problem) -> str:
    return f"unknown key{nearest(problem.path[-1], _keys(problem.owner))}"


def _keys(model: type[BaseModel] | None) -> Iterable[str]:
    fields = {} if model is None else model.model_fields
    # What is excluded is set by the program, not written by people.
    return [info.alias or name for name, info in fields.items() if not info.exclude]


def _plain(message: str) -> str:
    for theirs, ours in _WORDS:
        message = message.replace(theirs, ours)
    return message


def _got(given: Any) -> str:
    """Return what was written, if it may be shown: never credentials in an address."""
    if isinstance(given, dict):
        return " (got a mapping)" if given else ""
    if isinstance(given, list | tuple):
        return " (got a list)"
    text = _CREDENTIALS.sub("***@", "null" if given is None else repr(given))
    return f" (got {text if len(text) <= _SHOWN else text[: _SHOWN - 3] + '...'})"
