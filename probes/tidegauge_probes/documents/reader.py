"""Read YAML and JSON files that people write. This is the only place that does.

Reading is safe: no tags except those of the core schema, no duplicate keys, and no document that is
small on disk but huge in memory. The events come from PyYAML's parser (libyaml, if available),
which knows the grammar; :mod:`tidegauge_probes.documents.core_schema` decides what scalars stand
for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from typing_extensions import Self

from tidegauge_probes.documents.core_schema import PREFIX, Scalar, resolve, tag_of
from tidegauge_probes.errors import DocumentError

MAX_BYTES: Final = 32 * 2**20
MAX_DEPTH: Final = 100
MAX_ALIASED: Final = 10_000
"""Maximum number of values from aliases in a document; nine lines of nine aliases make 9⁹."""

Text = Callable[[str], str]
"""Applied to each string that is a value; ValueError says what is wrong with it."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_file(path: Path, text: Text = str) -> Any:
    """Return the value of a YAML file, or of a JSON file (``.json``); OSError, DocumentError."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    return (read_json if path.suffix == ".json" else read_yaml)(data, str(path), text)


def read_yaml(data: bytes | str, origin: str, text: Text = str) -> Any:
    """Return the value of one YAML 1.2 document; None if it is empty.

    *origin* names the document in messages. DocumentError gives line, column and the fix.
    """
    source = _decoded(data, origin, "YAML")
    try:
        return _Reader(source, origin, text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _problem(origin, mark, _explained(error, source)) from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        msg = f"{origin} is not valid YAML: {' '.join(str(error).split())}"
        raise DocumentError(msg) from error


def read_json(data: bytes | str, origin: str, text: Text = str) -> Any:
    """Return the value of a JSON document, read as strictly as YAML; DocumentError."""
    source = _decoded(data, origin, "JSON")
    try:
        found = json.loads(source, object_pairs_hook=_object, parse_constant=_constant)
        return _with_texts(found, text, 1)
    except json.JSONDecodeError as error:
        where = f"{origin}, line {error.lineno}, column {error.colno}"
        msg = f"{where}: not valid JSON: {error.msg}"
        raise DocumentError(msg) from error
    except ValueError as error:
        msg = f"{origin}: {error}"
        raise DocumentError(msg) from error
    except RecursionError as error:
        msg = f"{origin}: nested more than {MAX_DEPTH} levels deep"
        raise DocumentError(msg) from error


def _decoded(data: bytes | str, origin: str, kind: str) -> str:
    if len(data) > MAX_BYTES:
        most = f"{MAX_BYTES // 2**20} MiB"
        msg = f"{origin} is larger than {most}: split it, or move long lists to files"
        raise DocumentError(msg)
    try:
        return data if isinstance(data, str) else data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1 if isinstance(data, bytes) else 1
        msg = f"{origin} is not valid {kind}: line {line} is not UTF-8; save the file as UTF-8"
        raise DocumentError(msg) from error


class FromVariable(str):
    """A string with variables filled in; its repr shows what was written."""

    __slots__ = ("written",)
    written: str

    def __new__(cls, value: str, written: str) -> Self:
        """Make the string *value*, written as ``${NAME}``."""
        made = super().__new__(cls, value)
        made.written = written
        return made

    def __repr__(self) -> str:
        return repr(self.written)

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:  # workers get pickled settings
        return type(self), (str(self), self.written)


# -- YAML -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Node:
    """A value, how many values it contains (itself included), and how deeply they are nested."""

    value: Any
    size: int = 1
    height: int = 1


class _Reader:
    """Builds one document from the parser's events."""

    def __init__(self, source: str, origin: str, text: Text) -> None:
        self._origin = origin
        self._text = text
        self._events: Iterator[Any] = iter(yaml.parse(source, Loader=_LOADER))
        self._anchors: dict[str, _Node] = {}
        self._aliased = 0

    def document(self) -> Any:
        next(self._events)  # the stream's start
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        if event.version not in {None, (1, 2)}:
            raise self._wrong(event, "files are read as YAML 1.2: remove the %YAML line")
        value = self._node(next(self._events), 1).value
        next(self._events)  # the document's end
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._wrong(event, "a second document starts here: put it in a file of its own")
        return value

    def _node(self, event: Any, depth: int) -> _Node:
        if depth > MAX_DEPTH:
            raise self._wrong(event, f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        if isinstance(event, yaml.ScalarEvent):
            node = _Node(self._scalar(event))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, depth)
        else:
            node = self._mapping(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any, depth: int) -> _Node:
        node = self._anchors.get(event.anchor)
        if node is None:  # also inside the value that it names, which would never end
            raise self._wrong(event, f"there is no complete value &{event.anchor} above this line")
        self._aliased += node.size
        if self._aliased > MAX_ALIASED:
            what = f"the aliases up to here expand to more than {MAX_ALIASED} values"
            raise self._wrong(event, f"{what}: write them out, or move them to a file")
        if depth + node.height - 1 > MAX_DEPTH:
            raise self._wrong(event, f"*{event.anchor} nests more than {MAX_DEPTH} levels deep")
        return node

    def _sequence(self, start: Any, depth: int) -> _Node:
        self._check_tag(start, "seq")
        nodes = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            nodes.append(self._node(event, depth + 1))
        return _whole([node.value for node in nodes], nodes)

    def _mapping(self, start: Any, depth: int) -> _Node:
        self._check_tag(start, "map")
        found: dict[Any, Any] = {}
        lines: dict[Any, int] = {}
        nodes = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event)
            if key in found:
                raise self._wrong(
                    event, f"the key '{event.value}' is already on line {lines[key]}: keep one"
                )
            lines[key] = event.start_mark.line + 1
            nodes.append(self._node(next(self._events), depth + 1))
            found[key] = nodes[-1].value
        return _whole(found, nodes)

    def _key(self, event: Any) -> Scalar:
        if not isinstance(event, yaml.ScalarEvent):
            raise self._wrong(event, "a key must be a word, a number or a quoted string")
        if event.value == "<<" and event.implicit[0]:
            raise self._wrong(event, "YAML 1.2 has no merge key (<<): repeat the keys")
        if event.anchor is not None:
            raise self._wrong(event, f"a key cannot have an anchor: remove &{event.anchor}")
        return self._resolved(event)

    def _scalar(self, event: Any) -> Scalar:
        value = self._resolved(event)
        if not isinstance(value, str):
            return value
        try:
            return self._text(value)
        except ValueError as error:
            raise self._wrong(event, str(error)) from error

    def _resolved(self, event: Any) -> Scalar:
        """Return what a scalar stands for; quotes and ``!!str`` make anything a string."""
        text: str = event.value
        tag = None if event.tag in {None, "!"} else event.tag
        if tag in {None, f"{PREFIX}str"} and not (tag is None and event.implicit[0]):
            return text
        try:
            value = resolve(text)
        except ValueError as error:
            raise self._wrong(event, str(error)) from error
        if tag is not None:
            self._check_tag(event, tag_of(value))
        return value

    def _check_tag(self, event: Any, expected: str) -> None:
        if event.tag not in {None, "!", PREFIX + expected}:
            shown = event.tag.replace(PREFIX, "!!")
            raise self._wrong(
                event, f"the tag {shown} is unsupported or does not match the value: remove it"
            )

    def _wrong(self, event: Any, problem: str) -> DocumentError:
        return _problem(self._origin, event.start_mark, problem)


def _whole(value: Any, nodes: list[_Node]) -> _Node:
    height = 1 + max((node.height for node in nodes), default=0)
    return _Node(value, 1 + sum(node.size for node in nodes), height)


def _problem(origin: str, mark: Any, problem: str) -> DocumentError:
    where = "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
    return DocumentError(f"{origin}{where}: {problem}")


def _explained(error: yaml.MarkedYAMLError, source: str) -> str:
    """Return the parser's message, with a fix for the most common mistakes."""
    parts = [part for part in (error.context, error.problem) if part]
    message = f"not valid YAML: {', '.join(parts)}"
    mark = error.problem_mark
    line = "".join(source.splitlines()[mark.line : mark.line + 1]) if mark else ""
    if "${" in line:
        return f'{message}. Quote a variable: "${{NAME}}"'
    if "\t" in line[: mark.column + 1 if mark else 0]:
        return f"{message}. Indent with spaces, not with tabs"
    if ": " in line or "#" in line:
        return f"{message}. Quote strings that contain ': ' or ' #'"
    return message


# -- JSON -------------------------------------------------------------------------------------


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            msg = f"duplicate key '{key}': keep one"
            raise ValueError(msg)
        found[key] = value
    return found


def _constant(name: str) -> Any:
    msg = f"{name} is not valid JSON"
    raise ValueError(msg)


def _with_texts(value: Any, text: Text, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, list):
        return [_with_texts(one, text, depth + 1) for one in value]
    if isinstance(value, dict):
        return {key: _with_texts(one, text, depth + 1) for key, one in value.items()}
    return text(value) if isinstance(value, str) else value
