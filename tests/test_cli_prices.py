"""The commands on prices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from relayd.ops.pricefile import read_price_file
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
PRICES = '''
[[price]]
model = "gpt-4o-mini"
input = "0.15"
output = "0.6"
[[price]]
model = "gpt-4o-mini"
from = 2026-01-01
input = "0.3"
output = "0.6"
cache_read = "0.01"
tiers = [ { above = 1000, input = "1" } ]
[[price]]
model = "gpt-*"
provider = "azure"
from = 2999-01-01
call = "1"
'''
CONFIG = '''
[store]
path = "store"
[providers.openai]
api = "openai"
base_url = "https://api.openai.com/v1"
credential = { env = "NOT_SET" }
[routes."gpt-4o-mini"]
deployments = [{ provider = "openai" }]
[routes."fast"]
deployments = [{ provider = "openai", model = "gpt-5-nano" }, { provider = "openai" }]
[routes."gpt-*"]
deployments = [{ provider = "openai" }]
'''
PUBLIC = {
    "gpt-4o-mini": {"litellm_provider": "openai", "input_cost_per_token": 1.5e-07,
                    "output_cost_per_token": 6e-07},
    "gpt-new": {"litellm_provider": "openai", "input_cost_per_token": 1e-06},
    "tts-1": {"litellm_provider": "openai", "input_cost_per_character": 1.5e-05},
}


@pytest.fixture
def folder(shell: Shell) -> Path:
    """A configuration, its price file and a public one."""
    folder = shell.config.parent
    shell.config.write_text(CONFIG)
    (folder / "prices.toml").write_text(PRICES)
    (folder / "public.json").write_text(json.dumps(PUBLIC))
    return folder


def importing(shell: Shell, folder: Path, *words: str) -> str:
    """What an import says that works."""
    result = shell("prices", "import", "--format", "litellm", str(folder / "public.json"), *words)
    assert (result.code, result.err) == (0, ""), result
    return result.out


def test_check(shell: Shell, folder: Path) -> None:
    result = shell("prices", "check")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "no price: gpt-5-nano of openai", "no price: fast of openai",
        "usable: 3 prices, 1 of them in force now"]
    assert shell("prices", "check", str(folder / "prices.toml")).out == (
        "usable: 3 prices, 1 of them in force now\n")


def test_check_tells_every_fault(shell: Shell, folder: Path) -> None:
    (folder / "prices.toml").write_text("[[price]]\nmodel = 1\ninput = 0.5\n")
    for words in ((), (str(folder / "prices.toml"),)):
        result = shell("prices", "check", *words)
        assert result.code == 2 and not result.out
        assert "line 2: price[0].model" in result.err and "line 3: price[0].input" in result.err
    assert shell("prices", "check", "none.toml").code == 2


def test_check_for_programs(shell: Shell, folder: Path) -> None:
    assert shell.json("prices", "check") == {
        "usable": True, "faults": [], "prices": 3, "in_force": 1,
        "unpriced": [{"model": "gpt-5-nano", "provider": "openai"},
                     {"model": "fast", "provider": "openai"}]}
    (folder / "prices.toml").write_text("[[price]]\nmodel = 1\ninput = 0.5\n")
    for words in ((), (str(folder / "prices.toml"),)):
        result = shell("prices", "check", "--json", *words)
        found = json.loads(result.out)
        assert (result.code, result.err, found["usable"], found["prices"]) == (2, "", False, 0)
        places = [(fault["line"], fault["key"]) for fault in found["faults"]]
        assert places == [(2, "price[0].model"), (3, "price[0].input")] if words else (
            [key for _, key in places] == ["prices.file"] * 2)


@pytest.mark.parametrize(("words", "inputs"), [
    ((), ["0.3"]), (("--at", "2025-12-31"), ["0.15"]), (("--all",), ["0.15", "0.3", "0"]),
    (("--model", "gpt-4o-mini"), ["0.3"]), (("--model", "*mini"), ["0.3"]),
    (("--model", "gpt-5", "--all"), ["0"]), (("--model", "o3"), []),
])
def test_list(shell: Shell, folder: Path, words: tuple[str, ...], inputs: list[str]) -> None:
    assert [row["input"] for row in shell.json("prices", "list", *words)] == inputs


def test_list_for_people_and_programs(shell: Shell, folder: Path) -> None:
    head, row = shell("prices", "list", str(folder / "prices.toml")).out.splitlines()
    assert head.split()[:5] == ["MODEL", "PROVIDER", "FROM", "INPUT", "OUTPUT"]
    assert row.split() == ["gpt-4o-mini", "*", "2026-01-01", "0.30", "0.60", "0.01", "0.30", "-",
                           "1000", "USD"]
    [document] = shell.json("prices", "list")
    assert document["from"] == "2026-01-01T00:00:00.000Z" and document["reasoning"] == "0.6"
    assert [(tier["above"], tier["input"]) for tier in document["tiers"]] == [(1000, "1")]


def test_import_prints_entries(shell: Shell, folder: Path) -> None:
    text = importing(shell, folder, "--models", "gpt-n*", "--currency", "EUR", "--provider", "p*",
                     "--from", "2026-02-03")
    (folder / "new.toml").write_text(text)
    reading = read_price_file(folder / "new.toml")
    [price] = reading.book.prices
    assert (price.model, price.provider, price.currency) == ("gpt-new", "p*", "EUR")
    assert price.since_ms == 1_770_076_800_000 and "1 new prices" in text


def test_import_adds_what_is_new_and_changes_nothing(shell: Shell, folder: Path) -> None:
    target = folder / "prices.toml"
    target.chmod(0o640)
    assert "2 new prices, 0 as they were, 1 models" in importing(
        shell, folder, "--output", str(target))
    text = target.read_text()
    assert text.startswith(PRICES.rstrip("\n")) and target.stat().st_mode & 0o777 == 0o640
    book = read_price_file(target).book
    assert [price.model for price in book.prices[3:]] == ["gpt-4o-mini", "gpt-new"]
    # again: nothing
    assert "0 new prices, 2 as they were" in importing(shell, folder, "--output", str(target))
    assert target.read_text() == text
    # what was so at another time is compared with what was said of that time
    assert "1 new prices, 1 as they were" in importing(
        shell, folder, "--from", "2025-01-01", "--against", str(target))


def test_import_makes_a_file(shell: Shell, folder: Path) -> None:
    importing(shell, folder, "--output", str(folder / "made.toml"))
    assert len(read_price_file(folder / "made.toml").book) == 2


def test_an_entry_of_the_same_moment_stays(shell: Shell, folder: Path) -> None:
    words = ("prices", "import", "--format", "litellm", str(folder / "public.json"), "--output",
             str(folder / "prices.toml"), "--from")
    result = shell(*words, "2026-01-01")
    assert result.code == 2 and "gpt-4o-mini" in result.err and "--from" in result.err
    assert (folder / "prices.toml").read_text() == PRICES
    assert shell(*words, "2026-01-01T00:00:01Z").code == 0


@pytest.mark.parametrize("words", [
    ("--format", "openrouter", "public.json"), ("--format", "litellm", "none.json"),
    ("--format", "litellm", "prices.toml"), ("--format", "csv", "public.json"), ("public.json",),
    ("--format", "litellm", "public.json", "--currency", "usd"),
    ("--format", "litellm", "public.json", "--provider", "a/b"),
    ("--format", "litellm", "public.json", "--from", "soon"),
    ("--format", "litellm", "public.json", "--vendor", "nobody"),
    ("--format", "litellm", "public.json", "--against", "none.toml"),
    ("--format", "litellm", "public.json", "--output", "no/such/folder.toml"),
])
def test_unusable_imports(
    shell: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(folder)
    result = shell("prices", "import", *words)
    assert result.code == 2 and result.err and not result.out
