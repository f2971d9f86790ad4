"""The demo's `[payments]` as text, and the files that its secrets are in.

Law: a secret is in a file of its own, as everywhere; the text has its name alone.
"""

from __future__ import annotations

from typing import Final

from relayd.core.currency import minor_text
from relayd.ops.config_payments import PartnerConfig, PaymentsConfig

_SECRETS: Final = ("credential", "private_key", "partner_key")
_PLAIN: Final = ("app_id", "seller_id", "merchant_id", "serial", "platform_key_id")


def payments_files(config: PaymentsConfig) -> dict[str, str]:
    """The files, by their names."""
    found = {}
    for partner in config.partners.values():
        for name in _SECRETS:
            if getattr(partner, name):
                found[_file(partner, name)] = getattr(partner, name)
        for secret in partner.webhook_secrets[:1]:
            found[_file(partner, "webhook_secret")] = secret
    return found


def payments_lines(config: PaymentsConfig) -> list[str]:
    """The lines of the section; none where nothing can be paid."""
    if not config.partners:
        return []
    lines = ["", "[payments]", f'currency = "{config.currency}"',
             f'top_up_min = "{minor_text(config.top_up_min, config.currency)}"',
             f'top_up_max = "{minor_text(config.top_up_max, config.currency)}"',
             f"order_minutes = {config.order_minutes}"]
    for partner in config.partners.values():
        lines += ["", f"[payments.partners.{partner.name}]", f'kind = "{partner.kind}"',
                  f'base_url = "{partner.base_url}"']
        lines += [f'{name} = "{getattr(partner, name)}"' for name in _PLAIN
                  if getattr(partner, name)]
        lines += [f'{name} = {{ file = "{_file(partner, name)}" }}' for name in _SECRETS
                  if getattr(partner, name)]
        lines += ["h5 = true"] if partner.h5 else []
        if partner.webhook_secrets:
            lines.append(f'webhook_secret = {{ file = "{_file(partner, "webhook_secret")}" }}')
    return lines


def _file(partner: PartnerConfig, name: str) -> str:
    return f"demo-{partner.name}-{name.replace('_', '-')}"
