"""`[mail]` and `[console]`: a server over TLS, an address for links, who may sign up."""

from __future__ import annotations

import pytest

from relayd.ops.config import ConsoleConfig, MailConfig
from relayd.ops.configfile import examine_text
from relayd.ops.configfile_mail import console_url

WHOLE = '''
[mail]
host = "smtp.example.org"
port = 465
tls = "tls"
user = "relay"
credential = { env = "SMTP_PASSWORD" }
from = "Relay <no-reply@example.org>"
reply_to = "hello@example.org"
'''


def test_all_of_it() -> None:
    config = examine_text(WHOLE, environ={"SMTP_PASSWORD": "quokka"}).config
    assert config is not None
    assert config.mail == MailConfig(
        "smtp.example.org", 465, "tls", "relay", "quokka", None,
        "Relay <no-reply@example.org>", "hello@example.org")
    assert "quokka" not in repr(config)


@pytest.mark.parametrize(("text", "keys"), [
    ('[mail]\nhost = "smtp.example.org"', ["mail.from"]),
    ('[mail]\nhost = "smtp.example.org"\nfrom = "a@b.c"\ntls = "none"', ["mail.tls"]),
    ('[mail]\nhost = "127.0.0.1"\nfrom = "a@b.c"\ntls = "none"', []),
    ('[mail]\nfrom = "a@b.c"', ["mail.host"]),
    ('[mail]\nport = 25', []),
    ('[mail]\nhost = "h"\nfrom = "nobody"', ["mail.from", "mail.from"]),
    ('[mail]\nhost = "h"\nfrom = "a@b.c"\ncredential = "quokka"', ["mail.credential"]),
    ('[mail]\nhost = "h"\nfrom = "a@b.c"\ncredential = [{ env = "A" }]', ["mail.credential"]),
    ('[mail]\nhost = "h"\nfrom = "a@b.c"\nca_file = "/nowhere.pem"', ["mail.ca_file"]),
    ('[mail]\nserver = "h"', ["mail.host", "mail.server"]),
    ('[console]\nurl = "https://console.example.org/path"', ["console.url"]),
    ('[console]\nurl = "http://console.example.org"', ["console.url"]),
    ('[console]\nurl = "http://localhost:8081"', []),
    ('[console]\nurl = "https://münchen.example"', ["console.url"]),
    ('[console]\nurl = "https://xn--mnchen-3ya.example"', []),
    ('[console]\nrelay_url = "https://relay.example.org/v1"', ["console.relay_url"]),
    ('[console]\nrelay_url = "http://relay.example.org"', ["console.relay_url"]),
    ('[console]\nrelay_url = "http://127.0.0.1:8080/"', []),
    ('[console]\nminimum_age = 12', ["console.minimum_age"]),
    ('[console]\nregistration = "maybe"', ["console.registration"]),
])
def test_faults(text: str, keys: list[str]) -> None:
    reading = examine_text(text, environ={"A": "quokka"})
    assert sorted(fault.key for fault in reading.faults) == sorted(keys)
    assert "quokka" not in str(reading.faults)


def test_an_origin_has_no_slash_at_its_end() -> None:
    text = '[console]\nurl = "https://c.example/"\nrelay_url = "https://r.example:8443"'
    config = examine_text(text, environ={}).config
    assert config is not None
    assert (config.console.url, config.console.relay_url) == (
        "https://c.example", "https://r.example:8443")


@pytest.mark.parametrize(("url", "listen", "found"), [
    ("https://a.example", "127.0.0.1:1", "https://a.example"),
    ("", "127.0.0.1:8081", "http://127.0.0.1:8081"),
    ("", "[::1]:8081", "http://[::1]:8081"),
    ("", "unix:/run/x.sock", "http://localhost"),
])
def test_where_links_lead(url: str, listen: str, found: str) -> None:
    assert console_url(ConsoleConfig(url), listen) == found


def test_M1_nobody_under_thirteen_by_any_configuration() -> None:
    config = examine_text("[console]\nminimum_age = 13", environ={}).config
    assert config is not None and config.console.minimum_age == 13
    assert ConsoleConfig().minimum_age == 14
