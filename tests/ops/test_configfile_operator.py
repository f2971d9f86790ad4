"""`[operator]`: facts as declared, and who must declare them."""

from __future__ import annotations

import pytest

from relayd.core.operator import Hosting, Operator, Processor
from relayd.ops.check import check
from relayd.ops.configfile import examine_text

WHOLE = '''
[operator]
service = "Relay"
name = "Example Ltd"
name_zh = "示例有限公司"
address = "1 Street"
uscc = "91440300708461136T"
icp = "粤ICP备00000000号"
contact = "hello@example.org"
security = "security@example.org"
court = "a court"
[operator.hosting]
provider = "Cloud"
region = "cn-south"
certificates = ["ISO/IEC 27001"]
since = 2026-01-31
[[operator.processors]]
name = "Mail Co"
purpose = "mail"
fields = ["email", "text"]
region = "Germany"
since = "2026-02-01"
'''


def faults(text: str) -> list[str]:
    return [fault.key for fault in examine_text(text, environ={}).faults]


def test_all_of_it() -> None:
    config = examine_text(WHOLE, environ={}).config
    assert config is not None
    assert config.operator == Operator(
        service="Relay", name="Example Ltd", name_zh="示例有限公司", address="1 Street",
        uscc="91440300708461136T", icp="粤ICP备00000000号", contact="hello@example.org",
        security="security@example.org", court="a court",
        hosting=Hosting("Cloud", "cn-south", ("ISO/IEC 27001",), "2026-01-31"),
        processors=(Processor("Mail Co", "mail", ("email", "text"), "Germany", "2026-02-01"),))


@pytest.mark.parametrize(("text", "key"), [
    ('[operator]\ncontact = "nobody"', "operator.contact"),
    ('[operator]\nuscc = "91440300708461136A"', "operator.uscc"),
    ('[operator]\ncompany = "x"', "operator.company"),
    ('[operator.hosting]\nsince = "soon"', "operator.hosting.since"),
    ('[operator.hosting]\nsince = 2026-01-31T00:00:00Z', "operator.hosting.since"),
    ('[operator.hosting]\ncertificates = [""]', "operator.hosting.certificates[0]"),
    ('[[operator.processors]]\nname = "x"\npurpose = "y"\nfields = []\nsince = 2026-01-31',
     "operator.processors[0].region"),
    ('[[operator.processors]]\nname = "x"\npurpose = "y"\nregion = "z"\nfields = ["A;B"]\n'
     'since = 2026-01-31', "operator.processors[0].fields[0]"),
    ('[[operator.processors]]\npurpose = "y"\nregion = "z"\nfields = []\nsince = 2026-01-31',
     "operator.processors[0].name"),
])
def test_faults(text: str, key: str) -> None:
    assert faults(text) == [key]


def test_C1_an_open_console_needs_an_operator(tmp_path: object) -> None:
    opened = '[console]\nregistration = "open"\n'
    assert faults(opened) == ["operator"]
    assert faults(opened + WHOLE) == []
    [fault] = examine_text(opened + '[operator]\nname = "x"', environ={}).faults
    assert "lacks address, contact, court" in str(fault)


def test_C1_relayd_check_fails_without_one(tmp_path: object) -> None:
    file = f"{tmp_path}/relayd.toml"
    with open(file, "w", encoding="utf-8") as out:
        out.write('[console]\nregistration = "open"\n')
    code, said = check(file)
    assert code == 2 and "operator: lacks name" in said


MAIL = '[mail]\nhost = "smtp.example.org"\nfrom = "a@b.c"\nprocessor = "Mail Co"\n'


def test_S2_a_mail_server_of_others_is_in_the_register() -> None:
    assert faults(MAIL + WHOLE) == []
    assert faults(MAIL) == ["mail.processor"]
    assert faults(MAIL + WHOLE.replace('["email", "text"]', '["email"]')) == ["mail.processor"]
    unnamed = examine_text(MAIL.replace('processor = "Mail Co"', ""), environ={})
    assert "mail.processor" in [warning.key for warning in unnamed.warnings]
    near = examine_text(MAIL.replace("smtp.example.org", "127.0.0.1")
                        .replace('processor = "Mail Co"', ""), environ={})
    assert "mail.processor" not in [warning.key for warning in near.warnings]


def test_strangers_need_mail_and_an_address_to_come_back_to() -> None:
    def warned(text: str) -> bool:
        return "console" in [each.key for each in examine_text(text, environ={}).warnings]

    opened = '[console]\nregistration = "open"\n'
    assert warned(opened + WHOLE) and warned(opened + MAIL + WHOLE)
    assert not warned(opened + 'url = "https://a.example"\n' + MAIL + WHOLE)
    assert not warned(WHOLE)


def test_a_public_address_without_an_operator_is_a_warning() -> None:
    reading = examine_text('[console]\nurl = "https://console.example.org"', environ={})
    assert "operator" in [warning.key for warning in reading.warnings]
    assert reading.config is not None
