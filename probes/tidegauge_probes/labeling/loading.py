"""Find a ProbeSet where the user keeps it: a YAML or JSON file, or ``module:attribute``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import Field, ValidationError

from tidegauge_probes.documents.explanation import explain
from tidegauge_probes.documents.reader import read_file
from tidegauge_probes.documents.spec import ExactSpec, Spec
from tidegauge_probes.errors import DocumentError, ProbeError, nearest
from tidegauge_probes.interrupts import pass_on_interrupt
from tidegauge_probes.labeling.contents import (
    Contents,
    ProbeContents,
    PythonContents,
    VoterContents,
)
from tidegauge_probes.labeling.current_call import CURRENT_CALL
from tidegauge_probes.labeling.decorators import SlicingFunction
from tidegauge_probes.labeling.folder_modules import import_beside, known_as
from tidegauge_probes.labeling.probe_set import Probe, ProbeSet, as_probe
from tidegauge_probes.labeling.templates import SliceSpec, TemplateSpec
from tidegauge_probes.labeling.voters import VoterProbe, VoterSpec
from tidegauge_probes.model import MAX_CLASSES

_S = TypeVar("_S", bound=Spec)

_SNORKELS_SLICES: Final = frozenset({"SlicingFunction", "NLPSlicingFunction"})
"""In Snorkel, the second is not a subclass of the first."""


class PythonSpec(ExactSpec):
    """Python LFs by import path: one LF, a list of LFs, or a ProbeSet."""

    python: str = Field(description="`module:attribute`")


class ProbeFile(ExactSpec):
    """A ProbeSet as a file: class names, LFs, slicing functions."""

    classes: Annotated[
        list[str],
        Field(min_length=2, max_length=MAX_CLASSES, json_schema_extra={"uniqueItems": True}),
    ]
    probes: Annotated[list[dict[str, Any]], Field(min_length=1)]
    slices: list[dict[str, Any]] = Field(default_factory=list)


def load(
    reference: str, base: Path | None = None, classes: Sequence[str] | None = None
) -> ProbeSet:
    """Load a ProbeSet from a path (relative to *base*) or from ``module:attribute``.

    *classes*: the class names for a list of LFs, which has none; two by default.
    Raises ProbeError, which names the file and the LF and says how to fix it.
    """
    if Path(reference).suffix in {".yaml", ".yml", ".json"}:
        return load_file((base or Path()) / reference)
    found = _import(reference, base)
    if isinstance(found, ProbeSet):
        return found
    if isinstance(found, list | tuple):
        return _of_list(found, reference, classes)
    msg = f"{reference} is of type {type(found).__name__}: make it a ProbeSet or a list of LFs"
    raise ProbeError(msg)


def load_file(path: Path) -> ProbeSet:
    """Load a ProbeSet from a YAML or JSON file."""
    try:
        data = read_file(path)
    except OSError as error:
        msg = f"cannot read the ProbeSet {path}: {error.strerror or error}; check the path"
        raise ProbeError(msg) from error
    except DocumentError as error:
        raise ProbeError(str(error)) from error
    return _of_spec(_validate(ProbeFile, data, str(path)), path)


def load_templates(document: Any, origin: str) -> ProbeSet:
    """Make a ProbeSet of a document as files hold it, of templates and votes in records only.

    Nothing is imported and no file is read: the document may come from anywhere. Raises ProbeError.
    """
    try:
        spec = _validate(ProbeFile, document, origin)
        for item in (*spec.probes, *spec.slices):
            if "python" in item:
                msg = (
                    f"{origin}: Python LFs cannot be deployed over the API; deploy "
                    "them on the machine that has their files"
                )
                raise ProbeError(msg)
            if _reads_files(item):
                msg = (
                    f"{origin}: a lookup deployed over the API cannot read files: list its `values`"
                )
                raise ProbeError(msg)
        return _of_spec(spec, Path(origin))
    except RecursionError as error:
        msg = f"{origin}: its conditions are nested too deeply: simplify them"
        raise ProbeError(msg) from error


def load_contents(contents: Contents, probe_set: str) -> ProbeSet | None:
    """Build again what the database keeps as *probe_set*; None if there is Python in it.

    None, too, if this version of tidegauge makes another ProbeSet of it than was deployed.
    """
    try:
        made = ProbeSet(
            probes=tuple(_rebuilt(one, contents.classes) for one in contents.probes),
            classes=contents.classes,
            slices=tuple(_rebuilt(one, contents.classes) for one in contents.slices),
            origin=f"ProbeSet {probe_set}",
        )
    except (ValidationError, ProbeError):
        return None
    return made if made.id == probe_set else None


def _rebuilt(probe: ProbeContents, classes: Sequence[str]) -> Probe:
    if isinstance(probe, PythonContents):
        msg = f"'{probe.name}' is a Python LF, whose source is not stored"
        raise ProbeError(msg)
    if isinstance(probe, VoterContents):
        return VoterProbe(probe.name, probe.field, probe.votes, probe.deployed)
    named = {"name": probe.name, **probe.condition}
    if probe.label is None:
        return as_probe(SliceSpec.model_validate(named), classes)
    return as_probe(TemplateSpec.model_validate({**named, "label": classes[probe.label]}), classes)


def _reads_files(item: Any) -> bool:
    if isinstance(item, list):
        return any(map(_reads_files, item))
    if not isinstance(item, dict):
        return False
    lookup = item.get("lookup")
    named = isinstance(lookup, dict) and lookup.get("file") is not None
    return named or any(map(_reads_files, item.values()))


def _of_spec(spec: ProbeFile, path: Path) -> ProbeSet:
    try:
        return ProbeSet(
            probes=tuple(p for item in spec.probes for p in _probes(item, spec, path)),
            classes=tuple(spec.classes),
            slices=tuple(p for item in spec.slices for p in _slices(item, spec, path)),
            origin=str(path),
        )
    except ProbeError as error:
        text = str(error)
        raise ProbeError(text if str(path) in text else f"{path}: {text}") from error


def _probes(item: dict[str, Any], file: ProbeFile, path: Path) -> list[Any]:
    if "python" in item:
        return [as_probe(lf, file.classes) for lf in _python(item, file, path, "probes")]
    spec = VoterSpec if item.keys() & {"external", "prediction"} else TemplateSpec
    read = _with_lists(item, path)
    return [as_probe(_validate(spec, read, _named(path, item)), file.classes)]


def _slices(item: dict[str, Any], file: ProbeFile, path: Path) -> list[Any]:
    if "python" in item:
        return [as_probe(sf, file.classes) for sf in _python(item, file, path, "slices")]
    read = _with_lists(item, path)
    return [as_probe(_validate(SliceSpec, read, _named(path, item)), file.classes)]


def _with_lists(item: Any, path: Path) -> Any:
    """Return a template with the files of its lookups replaced by what is in them.

    So the ProbeSet's id changes with them. Empty lines, and those that start with #, are left out.
    """
    if isinstance(item, list):
        return [_with_lists(part, path) for part in item]
    if not isinstance(item, dict):
        return item
    found = {key: _with_lists(value, path) for key, value in item.items()}
    lookup = found.get("lookup")
    if isinstance(lookup, dict) and isinstance(lookup.get("file"), str) and "values" not in lookup:
        listed = path.parent / lookup["file"]
        try:
            lines = listed.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            msg = f"{_named(path, item)}: cannot read the lookup file {listed}: {error}"
            raise ProbeError(msg) from error
        values = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
        found["lookup"] = {k: v for k, v in lookup.items() if k != "file"} | {"values": values}
    return found


def _named(path: Path, item: dict[str, Any]) -> str:
    return f"{path}: probe '{item.get('name', '(unnamed)')}'"


def _python(item: dict[str, Any], file: ProbeFile, path: Path, part: str) -> Sequence[Any]:
    spec = _validate(PythonSpec, item, str(path))
    found = _import(spec.python, path.parent)
    if isinstance(found, ProbeSet):
        if found.classes != tuple(file.classes):
            msg = f"{path}: {spec.python} votes for the classes {', '.join(found.classes)}"
            raise ProbeError(
                f"{msg}, but this file for {', '.join(file.classes)}: use the same class names"
            )
        return found.probes if part == "probes" else found.slices
    listed = found if isinstance(found, list | tuple) else [found]
    return [one for one in listed if _is_slice(one) == (part == "slices")]


def _validate(spec: type[_S], data: Any, where: str) -> _S:
    try:
        return spec.model_validate(data)
    except ValidationError as error:
        msg = f"{where} is not valid:\n{explain(error, spec)}"
        raise ProbeError(msg) from error


def _import(reference: str, base: Path | None) -> Any:
    """Import ``module:attribute``; modules next to the file that names them are found, too."""
    module_name, colon, attribute = reference.partition(":")
    if not colon or not attribute:
        msg = f"'{reference}' is neither a .yaml or .json file nor of the form module:attribute"
        raise ProbeError(msg)
    CURRENT_CALL.enter("the import of module", module_name)
    try:
        module = import_beside(module_name, base or Path())
    except BaseException as error:  # a module may call sys.exit() when it is imported
        pass_on_interrupt(error)
        raise ProbeError(_not_imported(module_name, error)) from error
    finally:
        CURRENT_CALL.leave()
    if not hasattr(module, attribute):
        hint = nearest(attribute, (name for name in vars(module) if not name.startswith("_")))
        msg = f"module '{module_name}' has no '{attribute}'{hint}"
        raise ProbeError(msg)
    return getattr(module, attribute)


def _not_imported(module_name: str, error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return (
            f"cannot import '{module_name}': the module exits during import (sys.exit "
            f"with {error.code!r}); put the code that exits under `if __name__ == "
            "'__main__':`"
        )
    why = f"{type(error).__name__}: {error}"
    return f"cannot import '{module_name}': {why}; {_import_advice(module_name, error)}"


def _import_advice(module_name: str, error: BaseException) -> str:
    """Say whether the module is missing, or something in it is wrong."""
    if not isinstance(error, ModuleNotFoundError):
        return "correct the module"
    if error.name is None or f"{module_name}.".startswith(f"{error.name}."):
        return "run this where the module can be imported"
    return f"install '{error.name}', which the module imports, or put it next to the module"


def import_path(lf: Any, beside: str) -> str | None:
    """Return ``module:attribute`` of an LF in the module of *beside*; None if it has no name."""
    module_name = beside.partition(":")[0]
    module = sys.modules.get(known_as(module_name, Path()))
    names = (name for name, value in vars(module).items() if value is lf) if module else iter(())
    name = next(names, None)
    return None if name is None else f"{module_name}:{name}"


def _of_list(lfs: Sequence[Any], reference: str, classes: Sequence[str] | None) -> ProbeSet:
    """Make a ProbeSet of a bare list, which is binary unless its classes are named."""
    names = ("0", "1") if classes is None else tuple(classes)
    slices = [lf for lf in lfs if _is_slice(lf)]
    return ProbeSet(
        probes=tuple(as_probe(lf, names) for lf in lfs if not _is_slice(lf)),
        classes=names,
        slices=tuple(as_probe(sf, names) for sf in slices),
        origin=reference,
    )


def _is_slice(candidate: Any) -> bool:
    return isinstance(candidate, SlicingFunction) or any(
        base.__name__ in _SNORKELS_SLICES for base in type(candidate).__mro__
    )


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a ProbeSet file, generated from what reads it.

    Beyond it a file is refused for labels that are no class, names that are taken, patterns that
    do not compile, and files and modules that cannot be read.
    """
    document = ProbeFile.model_json_schema()
    specs = {spec.__name__: spec.model_json_schema() for spec in (TemplateSpec, SliceSpec)}
    specs |= {spec.__name__: spec.model_json_schema() for spec in (VoterSpec, PythonSpec)}
    parts = [part.pop("$defs", {}) for part in specs.values()]
    document["$defs"] = {name: part for some in parts for name, part in some.items()} | specs
    allowed = {
        "probes": ("TemplateSpec", "VoterSpec", "PythonSpec"),
        "slices": ("SliceSpec", "PythonSpec"),
    }
    for key, names in allowed.items():
        options = [{"$ref": f"#/$defs/{name}"} for name in names]
        document["properties"][key]["items"] = {"anyOf": options}
    return document
