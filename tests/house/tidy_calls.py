"""Names that have one home, SQL outside the store, files written elsewhere, I/O at import."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterable, Iterator
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import NamedTuple


class Home(NamedTuple):
    """Where a name may be used (prefixes of paths), and what to use elsewhere."""

    places: tuple[str, ...]
    instead: str


_TASKS = Home(("ops/tasks.py",), "ops.tasks.Tasks.spawn")
_ENVIRONMENT = Home(("ops/config",), "a field of ops.config.Config")
_CLOCK = Home(("ops/clock.py",), "ops.clock")
_SHELL = Home(("cli",), "the logger of ops/logging.py")

ONLY_IN = {
    ".create_task": _TASKS,
    ".ensure_future": _TASKS,
    "asyncio.TaskGroup": _TASKS,
    "os.getenv": _ENVIRONMENT,
    "os.environ": _ENVIRONMENT,
    "os.environb": _ENVIRONMENT,
    "time.time": _CLOCK,
    "time.time_ns": _CLOCK,
    "time.monotonic": _CLOCK,
    "time.monotonic_ns": _CLOCK,
    "time.perf_counter": _CLOCK,
    "time.perf_counter_ns": _CLOCK,
    "datetime.now": _CLOCK,
    "datetime.utcnow": _CLOCK,
    "datetime.today": _CLOCK,
    "date.today": _CLOCK,
    "print": _SHELL,
    "sys.stdout": _SHELL,
    "logging.getLogger": Home(("ops/logging.py", "store/db.py"), "the logger of ops/logging.py"),
    "tempfile": Home((), "memory: content never reaches a file"),
    "pickle": Home((), "msgspec or orjson"),
    "eval": Home((), "a table"),
    "exec": Home((), "a table"),
}
"""A key with a leading dot is an attribute of anything; with a dot inside, of that name alone."""

SQL = re.compile(
    r"\b(?:SELECT\s.+\sFROM|INSERT\s+(?:OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM"
    r"|(?:CREATE|DROP|ALTER)\s+(?:UNIQUE\s+)?(?:TABLE|INDEX|TRIGGER|VIEW)|PRAGMA\s+\w+"
    r"|BEGIN\s+(?:IMMEDIATE|EXCLUSIVE)|VACUUM|ATTACH\s+DATABASE)\b", re.DOTALL)
ONE_CHARACTER = (_constants.LITERAL, _constants.NOT_LITERAL, _constants.IN, _constants.ANY)
WRITERS = ("store/", "demo/setup", "ops/pricewrite")
"""The places that may write files."""
WRITE_CALLS = frozenset({"write_text", "write_bytes", "mkdir", "makedirs", "touch"})
WRITE_FLAGS = frozenset({"O_WRONLY", "O_RDWR", "O_CREAT", "O_APPEND"})
IO_MODULES = frozenset({"os", "socket", "ssl", "time", "random", "secrets", "subprocess",
                        "asyncio", "threading", "sqlite3", "uvloop", "tempfile", "urllib"})
IO_CALLS = frozenset({"open", "input", "print", "read_text", "read_bytes", "exists", "resolve",
                      "iterdir", "glob"})


def check(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, message) of each finding in the module at `path`, relative to the package."""
    docstrings = {id(node) for node in _docstrings(tree)}
    for node in ast.walk(tree):
        yield from _homes(path, node)
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield from _sql(path, node)
            yield from _pattern(node)
        if isinstance(node, ast.Call):
            yield from _writes(path, node)
    for call in _calls_at_import(tree):
        yield from _io_at_import(call)


def names_of(node: ast.AST) -> list[str]:
    """The forms under which `ONLY_IN` may know what a node names."""
    if isinstance(node, ast.Attribute):
        owner = ast.unparse(node.value).rpartition(".")[2]
        return [f".{node.attr}", f"{owner}.{node.attr}"]
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.ImportFrom):
        names = [alias.name for alias in node.names]
        module = node.module or ""
        return [module, *(f"{module}.{n}" for n in names), *(f".{n}" for n in names)]
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return []


def _homes(path: str, node: ast.AST) -> Iterator[tuple[int, str]]:
    for name in names_of(node):
        home = ONLY_IN.get(name)
        if home is not None and not (home.places and path.startswith(home.places)):
            where = f"belongs in {' or '.join(home.places)}" if home.places else "is banned"
            line = getattr(node, "lineno", 0)
            yield line, f"{name.lstrip('.')} {where}: use {home.instead}"


def _docstrings(tree: ast.Module) -> Iterator[ast.AST]:
    """Every text that stands alone as a statement."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def _sql(path: str, node: ast.Constant) -> Iterator[tuple[int, str]]:
    if isinstance(node.value, str) and SQL.search(node.value) and not path.startswith("store/"):
        yield node.lineno, "SQL belongs in store/"


def _pattern(node: ast.Constant) -> Iterator[tuple[int, str]]:
    """A repeated group that gives nothing back: Python before 3.11.5 matches it wrongly (its issue
    106052), and Debian 12 has 3.11.2. What is no pattern has no such thing in it."""
    text = node.value
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    if isinstance(text, str) and ")" in text and "+" in text:
        with contextlib.suppress(re.error, OverflowError):
            if _possessive(_parser.parse(text)):
                yield node.lineno, "a possessive group: Debian 12's Python matches it wrongly"


def _possessive(parts: Iterable[object]) -> bool:
    for part in parts:
        if isinstance(part, tuple) and part and part[0] is _constants.POSSESSIVE_REPEAT:
            if len(part[1][2]) > 1 or part[1][2][0][0] not in ONE_CHARACTER:
                return True
        if isinstance(part, (tuple, list, _parser.SubPattern)) and _possessive(part):
            return True
    return False


def _writes(path: str, call: ast.Call) -> Iterator[tuple[int, str]]:
    if not path.startswith(WRITERS) and _is_write(call):
        yield call.lineno, f"a file is written outside {' and '.join(WRITERS)}"


def _is_write(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id == "open" and _write_mode(call, 1)
    if not isinstance(function, ast.Attribute):
        return False
    if function.attr in WRITE_CALLS:
        return True
    if function.attr != "open":
        return False
    if ast.unparse(function.value) == "os":
        return not _to_nowhere(call) and any(
            isinstance(node, ast.Attribute) and node.attr in WRITE_FLAGS
            for node in ast.walk(call))
    return _write_mode(call, 0)


def _to_nowhere(call: ast.Call) -> bool:
    return bool(call.args) and ast.unparse(call.args[0]) == "os.devnull"


def _write_mode(call: ast.Call, position: int) -> bool:
    modes = [k.value for k in call.keywords if k.arg == "mode"]
    modes += call.args[position:position + 1]
    for mode in modes:
        if isinstance(mode, ast.Constant) and isinstance(mode.value, str):
            return bool(set(mode.value) & set("wax+"))
    return False


def _calls_at_import(node: ast.AST) -> Iterator[ast.Call]:
    """Calls that run when the module is imported: not those in the bodies of functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for part in (*child.decorator_list, *child.args.defaults, *child.args.kw_defaults):
                if part is not None:
                    yield from _calls_at_import(ast.Expr(part))
        elif isinstance(child, ast.Lambda) or _is_main(child):
            continue
        else:
            if isinstance(child, ast.Call):
                yield child
            yield from _calls_at_import(child)


def _is_main(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def _io_at_import(call: ast.Call) -> Iterator[tuple[int, str]]:
    words = ast.unparse(call.func).split(".")
    if words[-1] in IO_CALLS or (len(words) > 1 and words[0] in IO_MODULES):
        yield call.lineno, f"{'.'.join(words[-2:])}() runs at import: let app.py do it"
