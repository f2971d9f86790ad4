"""Rules of the house that a machine can check, over the modules of one package.

Law: each rule is a pure function from a parsed module to findings; a ban names its replacement.
There is no list of exemptions.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.house import tidy_calls

MODULE_LINES, FUNCTION_LINES, PARAMETERS, NESTING = 400, 50, 6, 3
PURE = ("core/", "wire/")
EXACT = ("core/money.py", "core/price.py", "core/ledger.py")
NO_NAMES = frozenset({"util", "utils", "helper", "helpers", "common", "misc", "manager", "base"})
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.With, ast.AsyncWith, ast.Match)
ASYNC = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
AT_IMPORT = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef,
             ast.Assign, ast.AnnAssign, ast.Pass)
TABLE_CALL = re.compile(r"_?[A-Z][A-Z_]*\.define\(")
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Finding(NamedTuple):
    """A rule that a line breaks, in words that say what would be right."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def lines_of(function: Function) -> int:
    """Lines from `def` to the last one, docstring excluded."""
    lines = _span(function)
    if ast.get_docstring(function, clean=False) is not None:
        lines -= _span(function.body[0])
    return lines


def _span(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def nesting(node: ast.AST, level: int = 0) -> int:
    """The deepest block inside a function; an elif is as deep as its if; inner defs count anew."""
    deepest = level
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        is_elif = isinstance(node, ast.If) and node.orelse == [child]
        inside = level + (isinstance(child, BLOCKS) and not is_elif)
        deepest = max(deepest, nesting(child, inside))
    return deepest


def _in_function(path: str, function: Function) -> Iterator[Finding]:
    name, line = function.name, function.lineno
    arguments = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
    count = sum(a.arg not in ("self", "cls") for a in arguments)
    if lines_of(function) > FUNCTION_LINES:
        yield Finding(path, line, f"{name}: {lines_of(function)} lines, at most {FUNCTION_LINES}")
    if count > PARAMETERS and name != "__init__":
        yield Finding(path, line, f"{name}: {count} parameters, at most {PARAMETERS}")
    if nesting(function) > NESTING:
        yield Finding(path, line, f"{name}: nested {nesting(function)} deep, at most {NESTING}")
    for node in ast.walk(function):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield Finding(path, node.lineno, "import inside a function: put it at the head")


def _anywhere(path: str, node: ast.AST) -> Iterator[Finding]:
    line = getattr(node, "lineno", 0)
    if isinstance(node, ast.Global):
        yield Finding(path, line, "global statement: give the value to a constructor")
    if isinstance(node, ast.ExceptHandler) and node.type is None:
        yield Finding(path, line, "bare except: name the type")
    if isinstance(node, ASYNC) and path.startswith(PURE):
        yield Finding(path, line, "async in a pure package")
    if path in EXACT and _inexact(node):
        yield Finding(path, line, "a float where money is: integers of nano-units")


def _inexact(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (float, complex))
    if isinstance(node, (ast.BinOp, ast.AugAssign)):
        return isinstance(node.op, ast.Div)
    return isinstance(node, ast.Name) and node.id == "float"


def _at_import(path: str, tree: ast.Module) -> Iterator[Finding]:
    for node in tree.body:
        if not isinstance(node, AT_IMPORT) and not _harmless(node):
            yield Finding(path, node.lineno, "work at import: let app.py do it")


def _harmless(node: ast.stmt) -> bool:
    """A docstring, the rest of a table, or an `if` on TYPE_CHECKING or __name__.

    A table that refers to itself is completed by a method: `_TABLE.define({...})`.
    """
    if isinstance(node, ast.Expr):
        value = node.value
        is_text = isinstance(value, ast.Constant) and isinstance(value.value, str)
        return is_text or TABLE_CALL.match(ast.unparse(value)) is not None
    return isinstance(node, ast.If) and ast.unparse(node.test) in (
        "TYPE_CHECKING", "__name__ == '__main__'")


def check_text(path: str, text: str) -> list[Finding]:
    """The findings of one module; `path` is relative to the package, with slashes."""
    tree = ast.parse(text)
    lines = text.count("\n")
    found = [*_at_import(path, tree)]
    if lines > MODULE_LINES:
        found.append(Finding(path, 1, f"{lines} lines, at most {MODULE_LINES}"))
    if NO_NAMES.intersection(path.removesuffix(".py").split("/")):
        found.append(Finding(path, 1, "name the noun that this file is about"))
    if not ast.get_docstring(tree):
        found.append(Finding(path, 1, "no module docstring: say what it owns, and its law"))
    for node in ast.walk(tree):
        found += _anywhere(path, node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found += _in_function(path, node)
    found += [Finding(path, line, message) for line, message in tidy_calls.check(path, tree)]
    return sorted(found)


def check_package(root: Path) -> list[Finding]:
    """The findings of every module under `root`."""
    return [
        finding for file in sorted(root.rglob("*.py"))
        for finding in check_text(file.relative_to(root).as_posix(), file.read_text("utf-8"))
    ]


def main(root: Path) -> int:
    """Prints what `check_package` finds; 1 where it finds something."""
    found = check_package(root)
    for finding in found:
        print(finding)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
