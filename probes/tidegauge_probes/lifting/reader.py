"""From the syntax of a Python LF to a decision on columns.

Whatever is not understood becomes a leaf that says *Python*: the records that get there are given
to the function itself.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from tidegauge_probes.columns.batch import Chain
from tidegauge_probes.interrupts import pass_on_interrupt
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_probes.labeling.python_probe import PythonProbe, as_vote
from tidegauge_probes.lifting.comparisons import Env, Known, WholeRecord, is_condition
from tidegauge_probes.lifting.constants import Names, Unknown, resolve
from tidegauge_probes.lifting.expressions import Expressions
from tidegauge_probes.lifting.lifted import If, Lifted, Node, Python, Read, Tree, Vote
from tidegauge_probes.lifting.source import syntax

MOST_BRANCHES: Final = 500
"""Larger decisions are not worth compiling: every branch is a few operations on whole columns."""


class Reader(Expressions):
    """Reads one function.

    ``if "free" in x.text: return SPAM`` and then ``return check(x)`` becomes
    ``If(Contains("free"), Vote(SPAM), Python)``.
    """

    def __init__(self, names: Names, chain: Chain, vote: Callable[[object], int | None]) -> None:
        """Take what names stand for, and *vote*: a constant's vote, None if it is none."""
        super().__init__(names, chain)
        self._vote = vote
        self._branches = 0

    def tree(self, function: ast.FunctionDef | ast.Lambda, record: str) -> Tree:
        """Read the whole function."""
        env = {record: WholeRecord()}
        if isinstance(function, ast.Lambda):
            return self._leaf(partial(self._returned, function.body, env))
        return self._leaf(partial(self._block, function.body, env))

    @staticmethod
    def _leaf(read: Callable[[], Tree]) -> Tree:
        try:
            return read()
        except Unknown as unknown:
            return Python(str(unknown))

    def _block(self, statements: Sequence[ast.stmt], env: Env) -> Tree:
        if not statements:
            raise Unknown(f"it may end without a return; {_NONE}")
        first, rest = statements[0], statements[1:]
        if isinstance(first, ast.Return):
            return self._returned(first.value, env)
        if isinstance(first, ast.If):
            # What follows an `if` follows in both branches, as either may fall through. Ten in a
            # row that never return make 2¹⁰ leaves, hence MOST_BRANCHES.
            return self._branch(
                self.condition(first.test, env),
                partial(self._block, [*first.body, *rest], env),
                partial(self._block, [*first.orelse, *rest], env),
            )
        if isinstance(first, ast.For):
            return self._block([*self._unrolled(first, env), *rest], env)
        if isinstance(first, ast.Assign | ast.AnnAssign):
            env, before = self._assigned(first, env)
            tree = self._block(rest, env)
            return tree if isinstance(tree, Python) else replace(tree, before=tree.before | before)
        docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        if docstring or isinstance(first, ast.Pass):
            return self._block(rest, env)
        raise Unknown(f"({type(first).__name__.lower()}) is not supported").at(first)

    def _branch(self, test: Node, then: Callable[[], Tree], other: Callable[[], Tree]) -> Tree:
        self._branches += 1
        if self._branches > MOST_BRANCHES:
            raise Unknown(f"it has more than {MOST_BRANCHES} branches")
        return If(test, self._leaf(then), self._leaf(other))

    def _assigned(
        self, statement: ast.Assign | ast.AnnAssign, env: Env
    ) -> tuple[Env, frozenset[Read]]:
        """Return the names as they stand after it, and what of the record it reads."""
        single = isinstance(statement, ast.AnnAssign) or len(statement.targets) == 1
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        if not single or not isinstance(target, ast.Name) or statement.value is None:
            raise Unknown("assigns to something other than one local name").at(statement)
        with self.gathered() as reads:
            value = self.value(statement.value, env)
        return {**env, target.id: value}, frozenset(reads)

    def _unrolled(self, loop: ast.For, env: Env) -> list[ast.stmt]:
        """Return a loop over constants as what it does each time."""
        if not isinstance(loop.target, ast.Name) or loop.orelse:
            raise Unknown("is not a plain loop").at(loop)
        if any(isinstance(node, ast.Break | ast.Continue) for node in ast.walk(loop)):
            raise Unknown("uses break or continue").at(loop)
        # `for w in ("a", "b"): if w in x.text: return 1` reads as w = "a"; if …; w = "b"; if …
        statements: list[ast.stmt] = []
        for value in self._constants(loop.iter, env, ordered=True):
            statements += [ast.Assign([loop.target], ast.Constant(value)), *loop.body]
        return statements

    def _returned(self, node: ast.expr | None, env: Env) -> Tree:
        if node is None:
            raise Unknown(_NONE)
        if isinstance(node, ast.IfExp):
            return self._branch(
                self.condition(node.test, env),
                partial(self._returned, node.body, env),
                partial(self._returned, node.orelse, env),
            )
        value = self.value(node, env)
        if isinstance(value, Known):
            vote = self._vote(value.value)
            return Vote(vote) if vote is not None else Python(_not_a_vote(value.value))
        if is_condition(value):
            return If(value, Vote(1), Vote(0))
        raise Unknown("is returned, but is neither a constant nor a condition").at(node)

    def constants(self, function: ast.AST) -> list[object]:
        """Return what each `return` gives; Unknown if one of them is no constant."""
        stored = {
            node.id
            for node in ast.walk(function)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        found = []
        for node in _returned_by(function):
            if isinstance(node, ast.Name) and node.id in stored:
                raise Unknown("is a variable").at(node)
            found.append(self._known(node, {}))
        return found


def _returned_by(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the expressions that a function returns, each side of a conditional one apart."""
    if isinstance(node, ast.IfExp):
        yield from (*_returned_by(node.body), *_returned_by(node.orelse))
    elif isinstance(node, ast.expr):
        yield node
    elif isinstance(node, ast.Return):
        if node.value is not None:
            yield from _returned_by(node.value)
    else:
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.stmt | ast.ExceptHandler | ast.match_case) and not isinstance(
                part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
            ):
                yield from _returned_by(part)


def _not_a_vote(value: object) -> str:
    """Say what to return instead of a constant that is no vote."""
    if value is None:
        return _NONE
    if isinstance(value, str):
        return f"{value!r:.40} is a string: return the index of the class"
    return f"{value!r:.40} is not a valid vote: return the index of a class, or -1 to abstain"


_NONE: Final = "None is not a valid vote: return -1 to abstain"


def lift(probe: PythonProbe, cardinality: int) -> Lifted | Python:
    """Read an LF's source; where that says nothing, or it cannot be had: why."""

    def vote(constant: object) -> int | None:
        number = as_vote(constant)
        return number if number is not None and -1 <= number < cardinality else None

    # Unknown anywhere outside a branch of its own means Python: never a guess.
    try:
        names, record = resolve(probe.f, probe.resources)
        function = syntax(names.function)
        if function is None:
            return Python("its source is not available, or is not what was compiled")
        reader = Reader(names, probe.chain, vote)
        tree = reader.tree(function, record)
    except Unknown as unknown:
        return Python(str(unknown))
    except BaseException as error:  # noqa: BLE001  (the user's objects may raise anything)
        pass_on_interrupt(error)
        return Python(f"reading its source raised {type(error).__name__}")
    if isinstance(tree, Python):
        return tree
    return Lifted(tree, frozenset(reader.reads), tuple(names.guards), reader.loose)


def returned_votes(probe: PythonProbe) -> frozenset[int] | None:
    """Return what an LF can vote whose every `return` gives a constant, abstain included.

    None of any other LF. Constants that are no vote are left out.
    """
    try:
        names, _ = resolve(probe.f, probe.resources)
        function = syntax(names.function)
        if function is None:
            return None
        body = function.body if isinstance(function, ast.Lambda) else function
        found = Reader(names, probe.chain, as_vote).constants(body)
    except Unknown:
        return None
    except BaseException as error:  # noqa: BLE001  (the user's objects may raise anything)
        pass_on_interrupt(error)
        return None
    return frozenset(vote for one in found if (vote := as_vote(one)) is not None)


def readings(probe_set: ProbeSet) -> dict[int, Lifted | Python]:
    """Return what the source of each Python LF and slicing function says, by column."""
    probes = (*probe_set.probes, *probe_set.slices)
    python = {n: probe for n, probe in enumerate(probes) if isinstance(probe, PythonProbe)}
    classes = {n: probe_set.cardinality if n < len(probe_set.probes) else 2 for n in python}
    return {n: lift(probe, classes[n]) for n, probe in python.items()}
