"""The command `reflect`: what a provider would receive for one raw HTTP request."""

from __future__ import annotations

import argparse
import secrets
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

from relayd.cli_command import DONE, UNUSABLE, Command, CommandError, configured, option
from relayd.cli_output import document, table, text
from relayd.control import keyring
from relayd.ops.clock import unix_ms
from relayd.ops.config import Config
from relayd.relay.reflect import Reflection, Reflector
from relayd.store.directory import StoreError
from relayd.store.keyring import FILE_NAME, open_keyring
from relayd.store.secret import SECRET_BYTES
from relayd.wire.identity import epoch_of

BOUNDARY: Final = "relayd" + "0" * 32


def _reflect(arguments: argparse.Namespace) -> int:
    config = configured(arguments)
    if arguments.provider not in (None, *config.providers):
        raise CommandError(f"--provider: the configuration has no provider {arguments.provider}")
    now_ms = unix_ms()
    reflector = Reflector(config, _pseudonym_secret(config, now_ms), BOUNDARY, now_ms)
    found = reflector.reflect(sys.stdin.buffer.read(), arguments.provider)
    if arguments.json:
        document(_view(found))
    else:
        _show(found)
    return DONE if found.refused is None else UNUSABLE


def _pseudonym_secret(config: Config, now_ms: int) -> bytes:
    """The store's own, so that pseudonyms are those that are sent; any, without a store."""
    directory = Path(config.store.path)
    try:
        if not (directory / FILE_NAME).exists():
            return secrets.token_bytes(SECRET_BYTES)
        with closing(open_keyring(directory, config.store.master_key)) as found:
            return keyring.pseudonym_secret(found, epoch_of(now_ms))
    except (StoreError, OSError):
        return secrets.token_bytes(SECRET_BYTES)


def _view(found: Reflection) -> dict[str, object]:
    return {
        "provider": found.provider,
        "upstream": None if found.upstream is None else found.upstream.decode("latin-1"),
        "refused": found.refused,
        "param": found.param,
        "notes": [{"what": w, "verdict": v, "why": y} for w, v, y in found.notes],
    }


def _show(found: Reflection) -> None:
    if found.upstream is None and found.refused is None:
        text("answered by the relay itself. Nothing would be sent.\n")
    elif found.upstream is None:
        text(f"refused: {found.refused}. Nothing would be sent.\n")
    else:
        text(f"to {found.provider}, byte for byte:\n")
        sys.stdout.flush()
        sys.stdout.buffer.write(found.upstream + b"\n\n")
        sys.stdout.buffer.flush()
    table(("what", "verdict", "why"), found.notes)


COMMANDS: Final = (
    Command("reflect", "Show what a provider would receive for the raw HTTP request on stdin.",
            _reflect,
            (option("--provider", metavar="P",
                    help="one of the route's providers (default: the first)"),),
            prints_data=True,
            epilog="The credential is masked; no key is needed and nothing is sent. "
                   "relayd reflect < request.http"),
)
