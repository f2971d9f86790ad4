"""The commands that publish documents and show them."""

from __future__ import annotations

from tests.fakes.shell import Shell, shell

__all__ = ["shell"]


def publish(shell: Shell, *words: str) -> dict[str, object]:
    made: dict[str, object] = shell.json("documents", "publish", *words)
    return made


def test_a_first_version_then_nothing_then_a_material_one(shell: Shell) -> None:
    assert shell.json("documents", "list")["differ"] == [
        "privacy", "terms", "cookies", "subprocessors", "hosting"]
    first = publish(shell, "privacy", "--kind", "editorial")
    assert (first["version"], first["kind"]) == (1, "first")
    again = shell("documents", "publish", "privacy", "--kind", "editorial")
    assert again.code == 2 and "nothing to publish" in again.err
    with shell.config.open("a", encoding="utf-8") as file:
        file.write('[operator]\nname = "Example Ltd"\n')
    assert "+ " in shell("documents", "show", "privacy", "--changes").out
    assert "Example Ltd" in shell("documents", "show", "privacy", "--draft").out
    assert "Example Ltd" not in shell("documents", "show", "privacy").out
    lacking = shell("documents", "publish", "privacy", "--kind", "material")
    assert lacking.code == 2 and "summary" in lacking.err
    made = publish(shell, "privacy", "--kind", "material", "--summary", "Who we are.",
                   "--summary-zh", "我们是谁。", "--gate", "keys", "--effective", "7d",
                   "--new-purposes", "privacy", "improve")
    assert (made["version"], made["gate"], made["items"]) == (2, "keys", ["privacy", "improve"])
    assert "Example Ltd" in shell("documents", "show", "privacy", "--version", "2").out
    # not in force yet
    assert "Example Ltd" not in shell("documents", "show", "privacy").out
    versions = shell.json("documents", "list", "--language", "zh")["versions"]
    assert [(each["version"], each["language"]) for each in versions] == [(2, "zh"), (1, "zh")]
    [notice] = shell.json("notices", "list")
    assert notice["fields"]["summary_zh"] == "我们是谁。"


def test_a_document_as_json_is_as_the_api_gives_it(shell: Shell) -> None:
    made = publish(shell, "privacy", "--kind", "editorial")
    plain = shell("documents", "show", "privacy").out
    shown = shell.json("documents", "show", "privacy")
    assert shown["version"] == made and shown["text"].rstrip("\n") + "\n" == plain
    assert shell.json("documents", "show", "privacy", "--changes")["changes"] == []
    with shell.config.open("a", encoding="utf-8") as file:
        file.write('[operator]\nname = "Example Ltd"\n')
    draft = shell.json("documents", "show", "privacy", "--draft")
    assert (draft["document"], draft["language"]) == ("privacy", "en")
    assert "Example Ltd" in draft["text"] and "Example Ltd" not in shown["text"]
    lines = shell.json("documents", "show", "privacy", "--changes")["changes"]
    assert any(line and line["sign"] == "added" and "Example Ltd" in line["line"]
               for line in lines)


def test_a_table_for_people(shell: Shell) -> None:
    publish(shell, "terms", "--kind", "editorial")
    out = shell("documents", "list").out
    assert out.startswith("DOCUMENT") and "terms" in out
    assert "privacy would read otherwise now" in out


def test_what_is_not_there(shell: Shell) -> None:
    assert shell("documents", "show", "terms").code == 2
    assert shell("documents", "show", "nonsense").code == 2
