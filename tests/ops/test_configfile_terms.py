"""What becomes of content: a provider's terms, and a deployment's over them."""

from __future__ import annotations

import pytest

from relayd.core.provider import DataTerms
from relayd.ops.configfile import examine_text
from relayd.ops.configfile_fault import Findings
from relayd.ops.configfile_section import Section
from relayd.ops.configfile_terms import own_terms, read_terms

URL = "https://provider.example/policy"


def section(values: dict[str, object]) -> tuple[Section, Findings]:
    findings = Findings()
    return Section(values, ("providers", "p"), findings), findings


def test_nothing_said_is_unknown() -> None:
    table, findings = section({})
    assert read_terms(table, DataTerms()) == DataTerms("unknown", None, None, None, False)
    assert own_terms(table, DataTerms("no")) is None and not findings.faults


def test_a_deployment_s_own_word_goes_before_its_provider_s() -> None:
    table, findings = section({"trains": "no", "zdr": True, "retention_days": 0})
    assert own_terms(table, DataTerms("yes", 30, "us", URL)) == DataTerms("no", 0, "us", URL, True)
    assert not findings.faults


@pytest.mark.parametrize("values", [
    {"trains": "maybe"}, {"trains": True}, {"retention_days": -1}, {"retention_days": "30"},
    {"region": "x" * 201}, {"region": " us"}, {"policy_url": "http://a.example"},
    {"policy_url": "https://"}, {"policy_url": "javascript:alert(1)"}, {"zdr": "yes"},
    {"policy_url": "https://user@a.example/"}, {"policy_url": "https://[a"},
    {"zdr": True, "retention_days": 30},
])
def test_what_is_wrong_is_a_fault(values: dict[str, object]) -> None:
    table, findings = section(values)
    read_terms(table, DataTerms())
    assert len(findings.faults) == 1


def test_what_was_agreed_goes_before_what_is_usual() -> None:
    table, findings = section({"zdr": True})
    assert read_terms(table, DataTerms("no", 30, None, URL)) == DataTerms(
        "no", None, None, URL, True)
    assert not findings.faults


CONFIG = """
[providers.p]
api = "openai"
base_url = "https://{host}/v1"
credential = {{ env = "KEY" }}
{said}
[routes."m"]
deployments = [ {{ provider = "p"{own} }} ]
[privacy]
{training}
"""


@pytest.mark.parametrize(("host", "said", "own", "training", "warned"), [
    ("api.example.com", "", "", "", True),
    ("generativelanguage.googleapis.com", "", "", "", True),
    ("api.openai.com", "", "", "", False), ("10.0.0.1", "", "", "", False),
    ("api.example.com", 'trains = "no"', "", "", False),
    ("api.example.com", 'trains = "unknown"', "", "", False),
    ("api.example.com", "", ', trains = "no"', "", False),
    ("api.example.com", "", "", 'training = "lenient"', False),
])
def test_N1_a_provider_that_serves_almost_nobody_is_named_with_the_option(
    host: str, said: str, own: str, training: str, warned: bool,
) -> None:
    text = CONFIG.format(host=host, said=said, own=own, training=training)
    reading = examine_text(text, environ={"KEY": "x"})
    assert reading.faults == []
    found = [each for each in reading.warnings if each.key == "providers.p.trains"]
    assert len(found) == warned
    if found:
        assert host in str(found[0]) and "trains" in str(found[0]) and found[0].line == 2
        assert ("billing" in str(found[0])) == host.startswith("generative")
