"""One name, one thing: a public class is called like no other in the repository."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def public_classes() -> dict[str, set[str]]:
    """Return the modules of each public class of the four packages."""
    found: dict[str, set[str]] = defaultdict(set)
    for folder in ("probes", "alerts", "dashboards", "service"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].add(path.relative_to(REPOSITORY).as_posix())
    return found


def test_class_names_are_unique() -> None:
    classes = public_classes()
    assert len(classes) > 300
    assert {name: where for name, where in classes.items() if len(where) > 1} == {}


def test_files_are_nouns() -> None:
    """A gerund is left where it is the field's own word."""
    words_of_the_field = {"labeling", "lifting", "loading", "paging", "routing", "training"}
    gerunds = {
        path.stem
        for folder in ("probes", "alerts", "dashboards", "service")
        for path in (REPOSITORY / folder).rglob("*.py")
        if path.stem.endswith("ing")
    }
    assert gerunds - words_of_the_field == set()
