"""Writes docs/configuration.md: every key of the configuration file, as the file's reader asks for
it (type, range, default), with what the example says of it. Run: python -m tools.configuration
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from relayd.core.partner import PARTNER_KINDS
from relayd.ops import configfile
from relayd.ops.config import FIXED, FIXED_SERVER
from relayd.ops.configfile_credential import Surroundings
from relayd.ops.configfile_fault import Findings
from relayd.ops.configfile_section import Section
from relayd.ops.configfile_terms import KEYS as TERMS
from relayd.ops.tomlfile import parsed

ROOT: Final = Path(__file__).resolve().parents[1]
EXAMPLE: Final = ROOT / "config" / "relayd.example.toml"
PAGE: Final = ROOT / "docs" / "configuration.md"
NAMED: Final = {"plans": "plans.NAME", "providers": "providers.NAME", "routes": 'routes."MODEL"'}
"""Tables whose keys are the operator's names."""
WAYS: Final = "payments.partners.NAME"
SPECIAL: Final = {
    "tls": ("table or text", "none"),
    "credential": ("reference, or a list of them", "none"),
    "proxy_credential": ("reference", "none"),
    "master_key": ("reference", "none"),
    "daily_budget": ("amount", "0"),
    "monthly_budget": ("amount", "0"),
    "models": ("table of tables", "{}"),
    "headers": ("table of texts", "{}"),
    "timeouts": ("table", "{}"),
    "pass_fields": ("table", "{}"),
    "since": ("date", "none"),
    "markup": ("factor", "1"),
    "fee": ("amount", "0"),
    "allowance": ("amount", "0"),
    "webhook_secret": ("reference, or a list of them", "none"),
    "secret": ("reference, or a list of them", "none"),
    "private_key": ("reference to PEM", "none"),
    "partner_key": ("reference to PEM", "none"),
    "partners": ("table of tables", "{}"),
    "vat_rate": ("percent", "0"),
}
"""Keys that are read as they are: type and default in words."""
KINDS: Final = {
    ("mail", "credential"): "reference",  # a mail server takes one password
    ("plans.NAME", "models"): "table of factors",
}
"""Types that a key has in one table alone."""
DEFAULTS: Final = {
    **{("providers.NAME", name): "by its host"
       for name in ("trains", "retention_days", "policy_url")},
    **{('routes."MODEL".deployments', name): "the provider's" for name in TERMS},
    (WAYS, "base_url"): "by its kind",
}
"""Defaults that are no one value: what the reader has for the example is not what others get."""
OTHERS: Final = {
    (WAYS, "kind"): "Whose API it is.",
    (WAYS, "base_url"): "The address of its API; default: the partner's own.",
    (WAYS, "credential"): "stripe: its secret key. wechat: the APIv3 key, 32 characters.",
    (WAYS, "webhook_secret"): "stripe: the signing secret of the endpoint; a list while it is "
    "replaced. Required.",
    (WAYS, "app_id"): "alipay, wechat: the application, as messages name it. Required.",
    (WAYS, "seller_id"): "alipay: the seller, as messages name it. Required.",
    (WAYS, "merchant_id"): "wechat: the merchant's number. Required.",
    (WAYS, "serial"): "wechat: the serial number of the merchant's certificate. Required.",
    (WAYS, "platform_key_id"): "wechat: the id of WeChat Pay's public key. Required.",
    (WAYS, "private_key"): "alipay, wechat: the merchant's own RSA key, which signs. Required.",
    (WAYS, "partner_key"): "alipay, wechat: the partner's public RSA key, which verifies its "
    "messages. Required.",
    (WAYS, "processor"): "The partner's row in [[operator.processors]].",
    (WAYS, "h5"): "wechat: holders may also choose to pay on the phone they are on, which tells "
    "WeChat Pay their network address; its processor's fields have ip.",
    ("payments", "partners"): "Ways to pay; NAME is part of the address of their messages, "
    "CONSOLE/pay/webhook/NAME; below.",
    ("payments", "top_up_min"): "The smallest order; default 5.00.",
    ("payments", "top_up_max"): "The largest order; default 10000.00.",
    ("plans.NAME", "markup"): "A factor on the prices of the price file.",
    ("plans.NAME", "models"): "Other markups for models, by name or pattern.",
    ("plans.NAME", "title"): "The name that people see; default: NAME.",
    ("plans.NAME", "title_zh"): "The same in Chinese.",
    ("plans.NAME", "period"): "month or year; makes the plan a subscription.",
    ("plans.NAME", "fee"): "Paid from the balance at the start of each period.",
    ("plans.NAME", "allowance"): "The amount of use that is included in a period.",
    ("plans.NAME", "currency"): "The currency of fee and allowance.",
    ("plans.NAME", "offered"): "Whether holders may choose it themselves, in the console.",
    ("console", "tls"): '"terminated" if a proxy in front ends TLS; it has none of its own.',
    ("ops", "tls"): '"terminated" if a proxy in front ends TLS; it has none of its own.',
    ("server.tls", "certificate"): "PEM file: the listener's own certificate, then its chain.",
    ("server.tls", "key"): "PEM file, not readable by everybody, without a "
    "password.",
    ("providers.NAME.timeouts", "connect"): "Until the connection, with TLS, is ready.",
    ("providers.NAME.timeouts", "first_byte"): "From the request to the reply's first byte.",
    ("providers.NAME.timeouts", "idle"): "Between two reads of a reply.",
    ("providers.NAME.timeouts", "total"): "The whole call; 0: no bound.",
    ("privacy.pass_fields", "openai"): "Names of top-level fields of OpenAI and Azure bodies.",
    ("privacy.pass_fields", "anthropic"): "The same for Anthropic.",
    ("privacy.pass_fields", "gemini"): "The same for Gemini.",
    ('routes."MODEL"', "deployments"): "Which providers serve the model; below.",
    ('routes."MODEL".deployments', "provider"): "One of [providers].",
    ('routes."MODEL".deployments', "queue_seconds"): "How long a call may wait in the queue.",
    ('routes."MODEL".deployments', "trains"): "Whether it trains models on content.",
    ('routes."MODEL".deployments', "retention_days"): "For how many days content is kept there.",
    ('routes."MODEL".deployments', "region"): "Where it processes data.",
    ('routes."MODEL".deployments', "policy_url"): "The address of its own page about this.",
    ('routes."MODEL".deployments', "zdr"): "Whether zero data retention was agreed.",
    ("providers.NAME", "api_version"): "azure only, for its older paths, for example "
    "\"2024-10-21\"; base_url is then without a path.",
    ("providers.NAME", "timeouts"): "Each ends an attempt with its own error; below.",
    ("console", "listen"): "Pages and account/admin API.",
    ("operator.hosting", "provider"): "The company that owns the machines.",
    ("operator.hosting", "region"): "Where the machines are.",
    ("operator.processors", "name"): "The company's name.",
    ("operator.processors", "purpose"): "What it does for the service.",
    ("operator.processors", "fields"): "The fields that it is sent; nothing else goes to it.",
    ("operator.processors", "region"): "Where it processes data.",
    ("operator.processors", "since"): "From when on; a date.",
    ("mail", "host"): "The mail server; without it mail stays in the outbox.",
    ("mail", "port"): "Its port: 587 for starttls, 465 for tls.",
    ("mail", "credential"): "Its password; without it relayd does not sign in.",
    ("mail", "from"): "The sender: an address, or a name and an address.",
    ("mail", "reply_to"): "Where replies go; default: `from`.",
    ("operator", "processors"): "Third parties that process personal data for the service; "
    "below.",
    ("ops", "listen"): "/metrics /livez /readyz /healthz; never on the public listener.",
    ("limits", "requests_per_minute"): "Calls of an account; 0: no limit, here and below.",
    ("limits", "concurrent"): "Calls of an account at a time.",
    ("store", "master_key"): "The master key, which encrypts the data keys of personal data: 32 "
    "bytes in hex or base64 (`openssl rand -hex 32`). Default: the file master.key in the "
    "store's directory, made at first use. Keep a copy of it apart from the store.",
    ("prices", "file"): "A file of dated prices. Default: prices.toml beside this file if there "
    "is one; else every amount is 0.",
    ("privacy", "pass_fields"): "Unknown fields that pass all the same; below.",
}
"""Meanings of keys that have no line of their own in the example."""
REQUIRED: Final = frozenset({"api", "base_url", "provider", "deployments", "certificate", "key"})
REGISTER: Final = "operator.processors"
HEAD: Final = """\
# Configuration

One TOML file, named by `-c FILE`, `$RELAYD_CONFIG`, or `/etc/relayd/relayd.toml`. `relayd check`
finds every fault in it, with its line and what would be right; a key that is not on this page is a
fault. [config/relayd.example.toml](../config/relayd.example.toml) has the same keys as a file to
start from.

This page is generated from the code that reads the file: `python -m tools.configuration`.

* Sizes are bytes; times are seconds, unless the name says otherwise.
* Relative paths start at the folder of the configuration file.
* A *reference* is `{ env = "NAME" }`, `{ file = "/path" }` (not readable by everybody) or
  `{ systemd = "NAME" }` (`LoadCredential=` in the unit). Secrets are never literals in the file.
* An *amount* is a whole number, or decimal digits in quotes such as `"2.50"`, in the price file's
  currency.
* From the environment relayd reads only `RELAYD_CONFIG`, what references name, what systemd sets,
  and settings of Python and glibc; `HTTP_PROXY` and the like are ignored.
* SIGHUP loads the file again, for everything that starts from then on. Keys marked **R** need a
  restart; a change of one is logged and waits for it.
"""


@dataclass(frozen=True, slots=True)
class Key:
    """One key: where it is, and what its reader takes."""

    table: str
    name: str
    kind: str
    default: str


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(f'"{each}"' for each in value) + "]"
    return "none" if value is None else f'"{value}"' if isinstance(value, str) else str(value)


class Recorder(Section):
    """A table that notes what is asked of it; `keys` is shared by all tables of one reading."""

    def __init__(self, section: Section, keys: dict[tuple[str, str], Key]) -> None:
        super().__init__(section.values, section.path, section.findings)
        self.keys = keys

    def _note(self, name: str, kind: str, default: object) -> None:
        table = _table(self.path)
        kind, shown = (kind, _shown(default)) if kind else SPECIAL[name]
        kind = KINDS.get((table, name), kind)
        needed = name in REQUIRED and table not in ("operator.hosting", WAYS) \
            or table == REGISTER
        shown = "required" if needed else DEFAULTS.get((table, name), shown)
        self.keys.setdefault((table, name), Key(table, name, kind, shown))

    def text(
        self, key: str, default: str | None = None, wanted: str = "a text"
    ) -> str | None:
        self._note(key, "text", default)
        return super().text(key, default, wanted)

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        self._note(key, " \\| ".join(f'"{word}"' for word in choices), default)
        return super().choice(key, choices, default)

    def boolean(self, key: str, default: bool) -> bool:
        self._note(key, "true, false", default)
        return super().boolean(key, default)

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        shown = default if default >= low else None  # out of range stands for none
        self._note(key, f"whole number, {low} to {high}", shown)
        return super().integer(key, default, low, high)

    def number(self, key: str, default: float, low: float, high: float) -> float:
        self._note(key, f"number, {low:g} to {high:g}", default)
        return super().number(key, default, low, high)

    def texts(self, key: str, default: tuple[str, ...], judge: Callable[[str], str],
              *, empty: bool = True) -> tuple[str, ...]:
        self._note(key, "list of texts", default)
        return super().texts(key, default, judge, empty=empty)

    def raw(self, key: str) -> object:
        if key in SPECIAL:
            self._note(key, "", None)
        return super().raw(key)

    def table(self, key: str) -> Recorder:
        if key in SPECIAL:
            self._note(key, "", None)
        return Recorder(super().table(key), self.keys)

    def tables(self, key: str) -> Any:
        self._note(key, "list of tables", None)
        return [Recorder(each, self.keys) for each in super().tables(key)]


def _table(path: tuple[str | int, ...]) -> str:
    """The name under which a table's keys stand on the page."""
    words = [str(word) for word in path if not isinstance(word, int)]
    if len(words) > 1 and words[0] in NAMED:
        words[:2] = [NAMED[words[0]]]
    if words[:2] == ["payments", "partners"] and len(words) > 2:
        words[:3] = [WAYS]
    return ".".join(words)


def keys() -> list[Key]:
    """Every key that the reader asks for, in its order."""
    # tables that the example shows as comments are read too
    text = EXAMPLE.read_text("utf-8").replace("models = {}", 'models = { "claude-*" = {} }')
    values = parsed(text)
    assert isinstance(values, dict)
    server = values["server"]
    assert isinstance(server, dict)
    server["tls"] = {}
    operator = values["operator"]
    assert isinstance(operator, dict)
    operator["processors"] = [{}]
    values["plans"] = {"team": {"period": "month"}}
    payments = values["payments"]
    assert isinstance(payments, dict)
    payments["partners"] = {kind: {"kind": kind} for kind in PARTNER_KINDS}
    findings, found = Findings({}), dict[tuple[str, str], Key]()
    configfile._read(Recorder(Section(values, (), findings), found),
                     Surroundings({}, EXAMPLE.parent, "skip"))
    return list(found.values())


def meanings(text: str) -> dict[tuple[str, str], str]:
    """(table, key) -> the comment above it; keys that follow one another share theirs."""
    found: dict[tuple[str, str], str] = {}
    table, comment, fresh = "", list[str](), False
    for line in text.splitlines():
        said = line.strip()
        if match := re.fullmatch(r"\[(.+)\]", said):
            table, comment = _table(tuple(re.findall(r'"[^"]*"|[^."]+', match[1]))), []
        elif said == "]":
            comment = []
        elif match := re.match(r"(?:# )?([a-z_]+) = ", said):
            found.setdefault((table, match[1]), " ".join(comment))
            fresh = True
        elif said.startswith("#"):
            comment = [*([] if fresh else comment), said.removeprefix("#").strip()]
            fresh = False
        elif not said:
            comment, fresh = [], False
    found |= _deployment_meanings(text)
    return found


def _deployment_meanings(text: str) -> Iterator[tuple[tuple[str, str], str]]:
    """The comment inside the list of deployments: `name: meaning.`, one after the other."""
    table = NAMED["routes"]
    inside = re.search(r"deployments = \[\n((?: +#.*\n)+)", text)
    assert inside is not None
    words = re.sub(r"\s*\n?\s+# ", " ", inside[1]).strip()
    parts = re.split(r"(?:^|[.;,] )(?=[a-z_]+: )", words)
    for part in filter(None, parts):
        name, _, meaning = part.strip().partition(": ")
        yield (f"{table}.deployments", name), meaning[:1].upper() + meaning[1:].rstrip(".") + "."


def page() -> str:
    """The whole page."""
    told = meanings(EXAMPLE.read_text("utf-8"))
    lines, last, said = [HEAD], "", ""
    found = [key for key in keys() if not key.table.startswith("limits.models.")]
    tables = list(dict.fromkeys(key.table for key in found))
    order = {place: number for number, place in enumerate(told)}
    for key in sorted(found, key=lambda key: (
            tables.index(key.table), order.get((key.table, key.name), len(order)))):
        if key.table != last:
            lines.append(f"\n## [{key.table}]\n\n| key | type | default | meaning |\n"
                         "| --- | --- | --- | --- |")
        meaning = _meaning(key, told)
        shown = "as above" if meaning and (key.table, meaning) == (last, said) else meaning
        mark = " **R**" if needs_restart(key) else ""
        default = key.default if key.default in DEFAULTS.values() else f"`{key.default}`"
        lines.append(f"| `{key.name}` | {key.kind} | {default} | {_cell(shown)}{mark} |")
        last, said = key.table, meaning
    return "\n".join(lines) + "\n"


def _meaning(key: Key, told: Mapping[tuple[str, str], str]) -> str:
    place = key.table, key.name
    text = OTHERS.get(place) or told.get(place, "")
    return text if text.endswith((".", ")")) else f"{text}." if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def needs_restart(key: Key) -> bool:
    """Whether a running process keeps what it has of this."""
    if key.table == "server":
        return key.name in FIXED_SERVER
    if key.table == "metering":
        return key.name in ("flush_seconds", "sync_ms")
    if key.table == "log":
        return key.name != "level" and "log" in FIXED
    if key.name in ("listen", "tls"):
        return f"{key.table}_listen" in FIXED
    if key.table == "privacy":
        return key.name == "wipe_memory"
    if key.name == "redirect":
        return "console_redirect" in FIXED
    return key.table in FIXED


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
