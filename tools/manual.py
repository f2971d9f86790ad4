"""Writes the manual pages: relayd(1) and relayd(8) from the table of commands, relayd.toml(5) from
the example configuration, so that none of them can say what the program does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from relayd.cli import DESCRIPTION, GROUPS, commands
from relayd.cli_command import CONFIG, JSON, Command, Option
from tools.lock import ROOT, own_version

EXAMPLE: Final = ROOT / "config" / "relayd.example.toml"
PAGES: Final = ("relayd.1", "relayd.8", "relayd.toml.5")
EXIT: Final = """\
.SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
A fault was found or met: of the store, of a listener, of what was examined.
.TP
.B 2
The arguments, the configuration or the daemon's store cannot be used. Trying again will not help.
"""
DAEMON: Final = """\
.SH SIGNALS
.TP
.B SIGTERM, SIGINT
No new connections; calls under way finish, for up to
.B [server] drain_seconds\\fR;
every record is stored. A second one ends at once, still with every record kept.
.TP
.B SIGHUP
Reads the configuration again. What it cannot change in a running process is logged as
.BR reload_needs_restart ;
a file with faults is logged as
.B reload_refused
and changes nothing. Streams under way do not notice.
.SH UNDER SYSTEMD
.B relayd.service
is of Type=notify: it is started when the journal has been recovered and the listeners are open,
and its watchdog is fed by the event loop while the threads of the journal and the store get on.
After
.B systemctl reload relayd
its status says whether the new configuration was taken.
.PP
Credentials of providers are read by systemd from
.I /etc/credstore/relayd.NAME
(mode 0600, root) and named in the configuration as
.BR "{ systemd = \\(dqNAME\\(dq }" ;
NAME is openai, anthropic or gemini, or any other in a
.B LoadCredential=
line of
.BR "systemctl edit relayd" .
.PP
With
.B relayd.socket
systemd listens, on port 443 unless it is edited, and a restart refuses nobody:
set
.BR "listen = [\\(dqsystemd\\(dq]" .
.PP
.B relayd@NAME.service
serves
.IR /etc/relayd/NAME.toml :
for several processes on one store and one port.
"""
GENERAL: Final = """\
.SH OPTIONS
.TP
.B \\-c, \\-\\-config \\fIFILE\\fR
Of every command: the configuration. Without it
.BR $RELAYD_CONFIG ,
then
.IR /etc/relayd/relayd.toml .
.TP
.B \\-\\-version
Prints the version.
"""
ENVIRONMENT: Final = """\
.SH ENVIRONMENT
.TP
.B RELAYD_CONFIG
The configuration, where no
.B \\-c
names one.
.TP
.B PYTHONHASHSEED
Where it is set, what an account sent before is not recognised, and is read again each time.
.PP
References of the configuration name variables of their own. Those of systemd (credentials,
sockets, notification, watchdog) are read as it sets them, those that name proxies never.
"""
FILES: Final = """\
.SH FILES
.TP
.I /etc/relayd/relayd.toml
The configuration.
.TP
.I /etc/relayd/prices.toml
What calls cost.
.TP
.I /etc/credstore/relayd.*
Credentials of providers.
.TP
.I /var/lib/relayd
The store: accounts, hashes of keys, records of calls, the journal. No content.
"""
_TABLE: Final = re.compile(r"# \[[a-z]\S*\]")
_KEY: Final = re.compile(r"(?:# )?([a-z_]+) = (.*)")


def pages() -> dict[str, str]:
    """Every page by its file name."""
    return {"relayd.1": shell_page(), "relayd.8": daemon_page(),
            "relayd.toml.5": configuration_page(EXAMPLE.read_text("utf-8"))}


def escaped(text: str) -> str:
    """Text that roff sets as it stands."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    text = text.replace("~", r"\(ti").replace("^", r"\(ha").replace("`", r"\(ga")
    text = re.sub(r"[^\x00-\x7f]", lambda found: f"\\[u{ord(found[0]):04X}]", text)
    return "\n".join(r"\&" + line if line.startswith(".") else line
                     for line in text.splitlines())


def head(name: str, section: int, summary: str) -> str:
    """The first lines of a page."""
    return (f'.TH {name.upper()} {section} "" "relayd {own_version()}" "relayd"\n.ad l\n'
            f".SH NAME\n{name} \\- {escaped(summary)}\n")


def shell_page() -> str:
    """relayd(1): every command and option. What is in no group stands first, each group once."""
    parts = [head("relayd", 1, "an LLM relay: its commands"),
             ".SH SYNOPSIS\n.B relayd\n.I COMMAND\n[options]\n.SH DESCRIPTION\n",
             escaped(DESCRIPTION), "\n.SH COMMANDS\n"]
    group = ""
    for command in sorted(commands(), key=lambda command: command.name.rpartition(" ")[0]):
        first, _, rest = command.name.partition(" ")
        if rest and first != group:
            parts.append(f".SS relayd {escaped(first)}\n{escaped(GROUPS[first])}\n")
        group = first if rest else ""
        parts.append(_command(command))
    parts += [GENERAL, EXIT, ENVIRONMENT, FILES,
              ".SH SEE ALSO\n.BR relayd (8),\n.BR relayd.toml (5)\n"]
    return "".join(parts)


def daemon_page() -> str:
    """relayd(8): the daemon."""
    (serve,) = (command for command in commands() if command.name == "serve")
    return "".join((head("relayd", 8, "the daemon of an LLM relay"),
                    ".SH SYNOPSIS\n.B relayd serve\n[\\-c FILE]\n.SH DESCRIPTION\n",
                    escaped(f"{DESCRIPTION} {serve.help}"), "\n", DAEMON, EXIT, ENVIRONMENT, FILES,
                    ".SH SEE ALSO\n.BR relayd (1),\n.BR relayd.toml (5),\n"
                    ".BR systemd.service (5)\n"))


def options(command: Command) -> Iterator[Option]:
    """Those of a command, with the two that many have."""
    yield from command.options
    yield CONFIG
    if command.prints_data:
        yield JSON


def _command(command: Command) -> str:
    text = f".TP\n.B relayd {escaped(command.name)}\n{escaped(command.help)}\n"
    if command.epilog:
        text += f"{escaped(command.epilog)}\n"
    shown = [(option, _shown(option)) for option in options(command) if option is not CONFIG]
    if shown:
        text += ".RS\n" + "".join(
            f".TP\n{words}\n{escaped(str(option.settings.get('help') or ''))}\n"
            for option, words in shown) + ".RE\n"
    return text


def _shown(option: Option) -> str:
    words = ", ".join(f"\\fB{escaped(flag)}\\fR" for flag in option.flags)
    name = option.settings.get("metavar")
    choices = option.settings.get("choices")
    if choices:
        name = "|".join(map(str, choices))
    if not name and option.flags[0].startswith("-") and "action" not in option.settings:
        name = option.flags[-1].lstrip("-").upper().replace("-", "_")
    return f"{words} \\fI{escaped(str(name))}\\fR" if name else words


def configuration_page(example: str) -> str:
    """relayd.toml(5): sections and keys with their defaults and comments, in the file's order."""
    first, *rest = example.split("\n\n")
    about = first.split("\n#\n")
    parts = [head("relayd.toml", 5, "the configuration of relayd"), ".SH DESCRIPTION\n",
             ".PP\n".join(_prose(each.splitlines()) for each in about), ".SH OPTIONS\n"]
    for block in rest:
        parts.extend(_block(block.splitlines()))
    parts.append(".SH SEE ALSO\n.BR relayd (1),\n.BR relayd (8)\n")
    return "".join(parts)


def _block(lines: list[str]) -> Iterator[str]:
    """One table of the file: its heading, then its keys. A comment is of what follows it, up to
    the next comment: of one key or of several."""
    comment: list[str] = []
    keys: list[str] = []
    while lines:
        line = lines.pop(0)
        key = _KEY.fullmatch(line)
        if key is not None:
            value, inner = _value(key[2], lines)
            unset = " (not set)" if line.startswith("#") else ""
            keys.append(f"\\fB{escaped(key[1])}\\fR = {escaped(value)}{unset}\n")
            comment += inner
            continue
        if keys:
            yield _entry(keys, comment)
            keys, comment = [], []
        if line.startswith("["):
            yield f".SS {escaped(line)}\n{_prose(comment)}"
            comment = []
        elif _TABLE.fullmatch(line):
            comment = []  # a whole table that is an example
        else:
            comment.append(line)
    yield _entry(keys, comment) if keys else ""


def _entry(keys: list[str], comment: list[str]) -> str:
    """Keys that one comment is about."""
    return ".TP\n" + ".TQ\n".join(keys) + _prose(comment)


def _value(first: str, lines: list[str]) -> tuple[str, list[str]]:
    """(a value, which may go over several lines; the comments in it)."""
    value, inner = first, []
    while value.count("[") > value.count("]"):
        line = lines.pop(0).strip()
        if line.startswith("#"):
            inner.append(line)
        else:
            value += f" {line}"
    return value, inner


def _prose(lines: Iterable[str]) -> str:
    """Comment lines as a paragraph."""
    plain = (line.lstrip("#").strip() for line in lines)
    text = escaped("\n".join(line for line in plain if line))
    return f"{text}\n" if text else ""


def write(folder: Path) -> list[Path]:
    """Writes every page into a folder."""
    made = []
    for name, text in pages().items():
        path = folder / name
        path.write_text(text, "utf-8")
        made.append(path)
    return made
