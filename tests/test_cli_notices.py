"""The commands that put up notices and take them down."""

from __future__ import annotations

from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
TEXTS = ("--subject-en", "Work", "--subject-zh", "维护", "--text-en", "On Sunday.",
         "--text-zh", "周日。")


def test_a_notice_from_its_start_to_its_end(shell: Shell) -> None:
    made = shell.json("notices", "publish", *TEXTS, "--ends", "2d")
    assert made["kind"] == "service" and made["fields"]["text_zh"] == "周日。"
    assert "being queued" in shell("notices", "list").out
    assert shell("notices", "end", made["id"]).code == 0
    [found] = shell.json("notices", "list")
    assert found["ends_at"] < made["ends_at"]
    assert shell("notices", "end", "notice_x").code == 2


def test_U7_news(shell: Shell) -> None:
    assert shell.json("notices", "news", *TEXTS)["kind"] == "product"
    assert "who agreed" in shell("notices", "news", *TEXTS, "--marketing").out
    assert {each["kind"] for each in shell.json("notices", "list")} == {"product", "marketing"}


def test_S5_a_transfer_leaves_time_to_object(shell: Shell) -> None:
    words = ("--recipient", "Other Co.", "--contact", "dpo@other.example",
             "--purpose-en", "the same", "--purpose-zh", "相同")
    assert shell("notices", "transfer", *words, "--ends", "3d").code == 2
    assert "stands on every page" in shell("notices", "transfer", *words).out
    assert shell("notices", "publish", "--subject-en", "x").code == 2
