"""The package keeps the rules of the house, and each rule catches a sample that breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.tidy import FUNCTION_LINES, MODULE_LINES, check_package, check_text, main
from tests.shared import ROOT

HEAD = '"""A module."""\n'

BAD = {
    "long module": ("x.py", "A = 1\n" * (MODULE_LINES + 1), "lines, at most"),
    "long function": ("x.py", "def f():\n" + "    a = 1\n" * FUNCTION_LINES, "lines, at most"),
    "seven parameters": ("x.py", "def f(a, b, c, d, *, e, f, g):\n    pass\n", "7 parameters"),
    "nested four deep": (
        "x.py",
        "def f():\n if a:\n  for b in c:\n   while d:\n    with e:\n     pass\n", "nested 4 deep"),
    "import inside": ("x.py", "def f():\n    import os\n", "import inside a function"),
    "global": ("x.py", "def f():\n    global a\n", "global statement"),
    "bare except": ("x.py", "def f():\n try:\n  pass\n except:\n  pass\n", "bare except"),
    "name": ("relay/utils.py", "", "name the noun"),
    "folder's name": ("common/x.py", "", "name the noun"),
    "async in core": ("core/x.py", "async def f():\n    pass\n", "async in a pure package"),
    "async in wire": ("wire/x.py", "async def f():\n    pass\n", "async in a pure package"),
    "float literal of money": ("core/price.py", "A = 0.5\n", "a float where money is"),
    "float type of money": ("core/money.py", "def f(a: float): pass\n", "a float where money is"),
    "division of money": ("core/ledger.py", "def f(a):\n    return a / 2\n", "a float"),
    "call at import": ("x.py", "import x\nx.go()\n", "work at import"),
    "method at import": ("x.py", "import x\nx.define(1)\n", "work at import"),
    "loop at import": ("x.py", "for a in (1, 2):\n    pass\n", "work at import"),
    "try at import": ("x.py", "try:\n    import a\nexcept A:\n    pass\n", "work at import"),
    "file at import": ("x.py", "A = open('x').read()\n", "open() runs at import"),
    "path at import": ("x.py", "A = Path('x').read_text()\n", "runs at import"),
    "dice at import": ("x.py", "A = secrets.token_hex(8)\n", "token_hex() runs at import"),
    "class body": ("x.py", "class A:\n    b = os.getpid()\n", "getpid() runs at import"),
    "default": ("x.py", "def f(a=socket.gethostname()):\n    pass\n", "runs at import"),
    "decorator": ("x.py", "@asyncio.run(x)\ndef f():\n    pass\n", "run() runs at import"),
    "create_task": ("relay/x.py", "def f(loop):\n    loop.create_task(g())\n", "Tasks.spawn"),
    "ensure_future": ("x.py", "from asyncio import ensure_future\n", "Tasks.spawn"),
    "environ": ("relay/x.py", "def f():\n    return os.environ['A']\n", "ops.config.Config"),
    "getenv": ("x.py", "from os import getenv\n", "ops.config.Config"),
    "clock": ("relay/x.py", "def f():\n    return time.monotonic()\n", "ops.clock"),
    "today": ("x.py", "def f():\n    return datetime.datetime.now()\n", "ops.clock"),
    "print": ("relay/x.py", "def f():\n    print(1)\n", "ops/logging.py"),
    "temporary file": ("relay/x.py", "import tempfile\n", "content never reaches a file"),
    "eval": ("x.py", "def f(a):\n    return eval(a)\n", "a table"),
    "select": ("control/x.py", "A = 'SELECT id FROM calls'\n", "SQL belongs in store/"),
    "insert": ("relay/x.py", "A = f'INSERT INTO {b} VALUES (1)'\n", "SQL belongs in store/"),
    "pragma": ("ops/x.py", "A = 'PRAGMA journal_mode'\n", "SQL belongs in store/"),
    "possessive": ("x.py", "A = re.compile(rb'(?:aa|b)*+c')\n", "a possessive group"),
    "possessive, counted": ("x.py", "A = re.compile('(aa|b){2,}+c')\n", "a possessive group"),
    "open to write": ("relay/x.py", "def f():\n    open('a', 'wb')\n", "a file is written"),
    "open by keyword": ("x.py", "def f():\n    open('a', mode='a')\n", "a file is written"),
    "path opened": ("x.py", "def f(a):\n    a.open('w')\n", "a file is written"),
    "write_text": ("x.py", "def f(a):\n    a.write_text('b')\n", "a file is written"),
    "os.open": ("x.py", "def f(a):\n    os.open(a, os.O_RDWR)\n", "a file is written"),
}

GOOD = {
    "long docstring": ("x.py", 'def f():\n    """' + "a\n" * 60 + '    """\n'),
    "self is free": ("x.py", "class A:\n    def f(self, a, b, c, d, e, g):\n        pass\n"),
    "__init__": ("x.py", "class A:\n    def __init__(self, a, b, c, d, e, f, g):\n        pass\n"),
    "elif": ("x.py", "def f(a):\n" + "".join(
        f"    {'el' if n else ''}if a == {n}:\n        pass\n" for n in range(6))),
    "table": ("x.py", "import re\nA = {1: re.compile('a')}\nB = frozenset(A)\n"),
    "table of itself": ("x.py", "A = B()\nA.define({1: A})\n"),
    "type checking": ("x.py", "if TYPE_CHECKING:\n    from a import b\n"),
    "main": ("x.py", "if __name__ == '__main__':\n    main()\n"),
    "note on a constant": ("x.py", 'A = 1\n"""What it is, not SELECT a FROM b."""\n'),
    "lambda": ("x.py", "A = lambda: os.getpid()\n"),
    "own place": ("ops/tasks.py", "def f(loop):\n    loop.create_task(g())\n"),
    "own clock": ("ops/clock.py", "def f():\n    return time.time_ns()\n"),
    "own name": ("relay/x.py", "def f(around):\n    return around.environ['A']\n"),
    "shell": ("cli_usage.py", "def f():\n    print(1)\n"),
    "store": ("store/x.py", "A = 'SELECT id FROM calls'\ndef f():\n    open('a', 'w')\n"),
    "pattern": ("x.py", "A = re.compile(r'(?:[^a]++)*(?>b|c)')\n"),
    "prose": ("x.py", "A = 'Select a provider from the list'\n"),
    "reading": ("x.py", "def f(a):\n    open('a', 'rb'), open('b'), a.open('rb')\n"),
    "in memory": ("x.py", "def f(a):\n    wave.open(a, 'wb')\n"),
    "money without floats": ("core/money.py", "def f(a: int) -> int:\n    return a // 2\n"),
    "float elsewhere": ("core/route.py", "def f(a: float):\n    return a / 0.5\n"),
}


def test_package() -> None:
    assert [str(finding) for finding in check_package(ROOT / "relayd")] == []


@pytest.mark.parametrize("name", BAD)
def test_rule_catches(name: str) -> None:
    path, source, message = BAD[name]
    found = check_text(path, HEAD + source)
    assert [f for f in found if message in f.message and f.path == path], found


@pytest.mark.parametrize("name", GOOD)
def test_rule_lets_pass(name: str) -> None:
    path, source = GOOD[name]
    assert check_text(path, HEAD + source) == []


def test_docstring_is_demanded() -> None:
    assert [f.message for f in check_text("x.py", "A = 1\n")] == [
        "no module docstring: say what it owns, and its law"]


def test_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.py").write_text(HEAD)
    assert main(tmp_path) == 0
    (tmp_path / "bad.py").write_text("import a\n")
    assert main(tmp_path) == 1
    assert capsys.readouterr().out.startswith("bad.py:1: no module docstring")
