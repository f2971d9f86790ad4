"""The command `reflect`: what a provider would receive for one raw HTTP request."""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path
from typing import Final

from relayd.cli_command import DONE, UNUSABLE, Command, configured, option
from relayd.cli_output import document, table, text
from relayd.ops.clock import unix_ms
from relayd.ops.config import Config
from relayd.relay.reflect import Reflection, Reflector
from relayd.store import secret as store_secret
from relayd.store.directory import StoreError

BOUNDARY: Final = "relayd" + "0" * 32
PSEUDONYM_LABEL: Final = "pseudonyms"


def _reflect(arguments: argparse.Namespace) -> int:
    config = configured(arguments)
    reflector = Reflector(config, _pseudonym_secret(config), BOUNDARY, unix_ms())
    found = reflector.reflect(sys.stdin.buffer.read(), arguments.provider)
    if arguments.json:
        document(_view(found))
    else:
        _show(found)
    return DONE if found.refused is None else UNUSABLE


def _pseudonym_secret(config: Config) -> bytes:
    """The store's own, so that pseudonyms are those that are sent; any, without a store."""
    try:
        secret = store_secret.read(Path(config.store.path))
    except StoreError:
        secret = None
    return store_secret.derived(secret or secrets.token_bytes(32), PSEUDONYM_LABEL)


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
            (option("--provider", metavar="P", help="this provider of the route, not the first"),),
            prints_data=True,
            epilog="The credential is masked; no key is needed and nothing is sent. "
                   "relayd reflect < request.http"),
)
