"""The program `relayd`: the table of its commands, and what their errors look like.

Law: arguments only. A new command is a row in `COMMANDS`; its function lives with its noun.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from relayd import (
    cli_abuse, cli_accounts, cli_audit, cli_backup, cli_balance, cli_canary, cli_check,
    cli_consents, cli_doctor, cli_documents, cli_fapiao, cli_handover, cli_inventory, cli_invoices,
    cli_keyring, cli_keys, cli_limits, cli_mail, cli_notices, cli_operators, cli_orders, cli_plans,
    cli_prices, cli_reflect, cli_requests, cli_retention, cli_serve, cli_tickets, cli_top,
    cli_usage,
)
from relayd.cli_command import DONE, FAULT, UNUSABLE, Command, CommandError, build_parser
from relayd.core.errors import RelayError
from relayd.ops.configfile import ConfigError

DESCRIPTION: Final = "An LLM relay: OpenAI, Anthropic and Gemini traffic, unseen and counted."
GROUPS: Final = {
    "abuse": "What rules against abuse found.",
    "accounts": "Accounts: who pays, and owns API keys.",
    "audit": "The audit log: who did what to whose data.",
    "balance": "Balances: what accounts may still spend.",
    "handover": "Handovers: somebody takes the business over, and its data.",
    "consents": "What account holders agreed to.",
    "documents": "The privacy policy, the terms and the others, in versions.",
    "fapiao": "Fapiao: applied for, handed to the bookkeeper, and brought back.",
    "invoices": "Invoices and receipts, month by month.",
    "keys": "API keys: what clients send.",
    "ledger": "The books.",
    "mail": "Mail to account holders.",
    "notices": "What stands on every page, and is mailed to everybody.",
    "operators": "Operators: who may do more in the console than what is their own.",
    "codes": "Codes that give credit.",
    "orders": "Orders: balances that are topped up at payment partners.",
    "plans": "Plans: what accounts pay.",
    "prices": "Prices: what calls cost.",
    "requests": "Lawful requests: what authorities ask for, and what they get.",
    "store": "The store's files.",
    "tickets": "Tickets: what people ask and report.",
}
COMMANDS: Final[tuple[Command, ...]] = (
    *cli_serve.COMMANDS,
    *cli_reflect.COMMANDS,
    *cli_check.COMMANDS,
    *cli_doctor.COMMANDS,
    *cli_top.COMMANDS,
    *cli_accounts.COMMANDS,
    *cli_operators.COMMANDS,
    *cli_keys.COMMANDS,
    *cli_limits.COMMANDS,
    *cli_balance.COMMANDS,
    *cli_plans.COMMANDS,
    *cli_orders.COMMANDS,
    *cli_usage.COMMANDS,
    *cli_invoices.COMMANDS,
    *cli_fapiao.COMMANDS,
    *cli_retention.COMMANDS,
    *cli_tickets.COMMANDS,
    *cli_requests.COMMANDS,
    *cli_handover.COMMANDS,
    *cli_documents.COMMANDS,
    *cli_consents.COMMANDS,
    *cli_notices.COMMANDS,
    *cli_mail.COMMANDS,
    *cli_audit.COMMANDS,
    *cli_abuse.COMMANDS,
    *cli_canary.COMMANDS,
    *cli_prices.COMMANDS,
    *cli_backup.COMMANDS,
    *cli_keyring.COMMANDS,
    *cli_inventory.COMMANDS,
)
_INTERRUPTED: Final = 130
"""What a shell reports for a program that SIGINT ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Unusable arguments raise SystemExit(2)."""
    arguments = build_parser("relayd", DESCRIPTION, GROUPS, COMMANDS).parse_args(argv)
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
        return code
    except CommandError as error:
        return _fail(str(error), error.exit_code)
    except RelayError as error:
        where = f"{error.param}: " if error.param else ""
        code = UNUSABLE if error.kind.side == "client" else FAULT
        return _fail(where + error.kind.message, code)
    except ConfigError as error:
        return _fail(str(error), UNUSABLE)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # the reader, such as `head`, has seen enough; nothing may be written at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def _fail(message: str, exit_code: int) -> int:
    for line in message.splitlines():
        sys.stderr.write(f"relayd: {line}\n")
    return exit_code
