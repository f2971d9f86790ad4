"""The commands that run a relay: `serve`."""

from __future__ import annotations

import argparse
from typing import Final

from relayd import daemon
from relayd.cli_command import FAULT, Command, CommandError
from relayd.ops import configfile
from relayd.store.directory import StoreError


def _serve(arguments: argparse.Namespace) -> int:
    reading = configfile.examine(arguments.config or configfile.default_path())
    config = reading.config
    if config is None:
        raise configfile.ConfigError(reading.faults)
    try:
        return daemon.run(config, warnings=reading.warnings)
    except StoreError as error:
        raise CommandError(f"store {config.store.path}: {error.kind.message}", FAULT) from None
    except OSError as error:
        raise CommandError(f"a listener cannot be opened: {error.strerror}", FAULT) from None


COMMANDS: Final = (
    Command("serve", "Run the relay in the foreground, as systemd does.", _serve,
            epilog="SIGTERM drains: running calls finish, every record is stored. A second one "
                   "ends at once."),
)
