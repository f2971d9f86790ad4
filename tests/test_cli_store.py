"""Commands on the store: beside a daemon, and when the store cannot be used."""

from __future__ import annotations

import asyncio
import stat
from typing import Any

import pytest

from relayd.control import publish
from relayd.store import backup, migration
from relayd.store.db import FILE_NAME, Database, open_database
from relayd.store.journal_lane import lock_store
from relayd.store.migration import Migration
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]


def test_the_store_is_made_private_at_first_use(shell: Shell) -> None:
    assert shell.json("accounts", "list") == []
    assert stat.S_IMODE(shell.store.stat().st_mode) == 0o700


def test_a_running_daemon_sees_the_change(shell: Shell) -> None:
    async def policy(db: Database) -> int:
        return await publish.policy_version(db)

    with asyncio.Runner() as runner:
        db = runner.run(open_database(shell.store))
        before = runner.run(policy(db))
        shell.json("accounts", "create", "--email", "ann@example.org")
        assert runner.run(policy(db)) == before + 1
        runner.run(db.close())


def test_credentials_that_the_shell_lacks_do_not_matter(shell: Shell) -> None:
    with shell.config.open("a") as file:
        file.write('[providers.p]\napi = "openai"\nbase_url = "https://p.example/v1"\n'
                   'credential = { env = "NOT_SET_IN_THIS_SHELL" }\n')
    assert shell.json("accounts", "list") == []


@pytest.mark.parametrize("spoil, words", [
    (lambda shell: (shell.store / "secret").unlink(), "backup"),
    (lambda shell: (shell.store / "secret").chmod(0o644), "0600"),
    (lambda shell: (shell.store / FILE_NAME).write_bytes(b"junk" * 1000), "damaged"),
])
def test_a_spoilt_store_is_named_with_what_to_do(shell: Shell, spoil: Any, words: str) -> None:
    shell.json("accounts", "list")
    spoil(shell)
    result = shell("accounts", "list")
    assert result.code == 1 and str(shell.store) in result.err and words in result.err
    assert "Traceback" not in result.err


def test_a_missing_configuration_is_unusable_input(shell: Shell) -> None:
    shell.config.unlink()
    result = shell("accounts", "list")
    assert result.code == 2 and str(shell.config) in result.err


def test_an_older_store_is_left_alone_under_a_daemon(
    shell: Shell, monkeypatch: pytest.MonkeyPatch,
) -> None:
    shell.json("accounts", "list")
    later = [*migration.known(), Migration(9000, "more", "CREATE TABLE more (a);\n")]
    for module in (migration, backup):
        monkeypatch.setattr(module, "known", lambda: later)
    daemon = lock_store(shell.store, shared=True)
    result = shell("accounts", "list")
    assert result.code == 1 and "Restart that daemon" in result.err and not result.out
    assert not (shell.store / "backups").exists()
    daemon.release()
    assert shell.json("accounts", "list") == []
    assert len(list((shell.store / "backups").iterdir())) == 1
    daemon = lock_store(shell.store, shared=False)
    assert shell.json("accounts", "list") == []
    daemon.release()
