"""`[routes."MODEL"]`: what becomes a Route, and what is refused."""

from __future__ import annotations

import pytest

from relayd.core.provider import Address, DataTerms, Provider
from relayd.core.route import Deployment, Route
from relayd.ops.configfile_fault import Findings
from relayd.ops.configfile_route import (
    DEPLOYMENTS_MAX, HEDGE_MS_MIN, NAMES_MAX, RETRIES_MAX, read_routes,
)
from relayd.ops.configfile_section import Section

PROVIDERS = {name: Provider(name, "openai", Address("https", name, 443, ""), (),
                            terms=DataTerms(region="eu", retention_days=30))
             for name in ("openai", "azure-east")}


def read(**routes: object) -> tuple[tuple[Route, ...], Findings]:
    findings = Findings()
    names = {name.replace("STAR", "*"): value for name, value in routes.items()}
    return read_routes(Section(names, ("routes",), findings), PROVIDERS), findings


def test_routes_in_order() -> None:
    routes, findings = read(
        m={"deployments": [{"provider": "openai", "model": "n", "weight": 3},
                           {"provider": "azure-east", "priority": 2}]},
        gptSTAR={"deployments": [{"provider": "openai"}]})
    assert not findings.faults
    assert routes == (
        Route("m", (Deployment("openai", "n", 3, 1), Deployment("azure-east", None, 1, 2))),
        Route("gpt*", (Deployment("openai"),)))
    assert [route.is_pattern for route in routes] == [False, True]


@pytest.mark.parametrize(("deployments", "key", "words"), [
    (None, "deployments", "names no deployment"),
    ([], "deployments", "names no deployment"),
    ("openai", "deployments", "is a text"),
    (["openai"], "deployments[0]", "is a text"),
    ([{}], "deployments[0].provider", "is missing"),
    ([{"provider": "opnai"}], "deployments[0].provider", "not one of"),
    ([{"provider": "openai", "weight": 0}], "deployments[0].weight", "out of range"),
    ([{"provider": "openai", "weight": 1.5}], "deployments[0].weight", "is a number"),
    ([{"provider": "openai", "priority": 0}], "deployments[0].priority", "out of range"),
    ([{"provider": "openai", "model": "a?b"}], "deployments[0].model", "not a model name"),
    ([{"provider": "openai", "model": "gpt-*"}], "deployments[0].model", "not a model name"),
    ([{"provider": "openai", "wieght": 2}], "deployments[0].wieght", "not a known key"),
    ([{"provider": "openai", "concurrent": -1}], "deployments[0].concurrent", "out of range"),
    ([{"provider": "openai", "queue": 5}], "deployments[0].queue", "without concurrent"),
    ([{"provider": "openai", "concurrent": 1, "queue_seconds": 0}],
     "deployments[0].queue_seconds", "out of range"),
    ([{"provider": "openai", "drain": 1}], "deployments[0].drain", "is a whole number"),
    ([{"provider": "openai"}] * (DEPLOYMENTS_MAX + 1), "deployments", "more than"),
])
def test_faults(deployments: object, key: str, words: str) -> None:
    _, findings = read(m={} if deployments is None else {"deployments": deployments})
    [fault] = findings.faults
    assert fault.key == f"routes.m.{key}" and words in fault.problem


def test_unknown_provider_gets_an_offer() -> None:
    _, findings = read(m={"deployments": [{"provider": "opnai"}]})
    assert findings.faults[0].remedy == "Did you mean 'openai'?"


@pytest.mark.parametrize(("name", "usable"), [
    ("gpt-4o", True), ("org/model:7b@x+1", True), ("*", True), ("a*b*c", True),
    ("", False), ("a b", False), ("a?b", False), ("../x", False), ("a" * 257, False),
    ("a**", True), ("é*", False), ("~maker/model-latest", True), ("~maker/*", True),
    ("@cf/maker/model", True), ("~", False),
])
def test_names(name: str, usable: bool) -> None:
    findings = Findings()
    table = {name: {"deployments": [{"provider": "openai"}]}}
    read_routes(Section(table, ("routes",), findings), PROVIDERS)
    assert bool(findings.faults) is not usable


def test_route_that_is_no_table() -> None:
    assert [f.key for f in read(m=1)[1].faults] == ["routes.m", "routes.m.deployments"]


ONE = [{"provider": "openai"}]


def test_every_option() -> None:
    routes, findings = read(
        m={"deployments": [{"provider": "openai", "concurrent": 8, "queue": 4,
                            "queue_seconds": 2.5, "drain": True}],
           "aliases": ["fast"], "strategy": "least-latency", "sticky": True,
           "fallback": ["n", "other"], "fallback_on": ["context_length", "content_policy"],
           "retries": 0, "retry_share": 0.5, "hedge_ms": 800},
        n={"deployments": ONE}, othSTAR={"deployments": ONE})
    assert not findings.faults and not findings.warnings
    assert routes[0] == Route(
        "m", (Deployment("openai", None, 1, 1, 8, 4, 2.5, True),), ("fast",), "least-latency",
        True, ("n", "other"), ("context_length", "content_policy"), 0, 0.5, 800)


@pytest.mark.parametrize(("options", "key", "words"), [
    ({"aliases": ["a b"]}, "aliases[0]", "not a model name"),
    ({"aliases": ["x", "x"]}, "aliases", "twice"),
    ({"aliases": ["n"]}, "aliases", "a name of the route 'n' already"),
    ({"aliases": [f"a{n}" for n in range(NAMES_MAX + 1)]}, "aliases", "more than"),
    ({"strategy": "fastest"}, "strategy", "not one of weighted, least-latency, cheapest"),
    ({"sticky": "yes"}, "sticky", "is a text"),
    ({"fallback": "n"}, "fallback", "is a text"),
    ({"fallback": ["nobody"]}, "fallback", "served by no route"),
    ({"fallback": ["m"]}, "fallback", "the route itself"),
    ({"fallback": ["n"], "fallback_on": ["always"]}, "fallback_on[0]", "not one of unavailable"),
    ({"fallback": ["n"], "fallback_on": []}, "fallback_on", "empty"),
    ({"retries": RETRIES_MAX + 1}, "retries", "out of range"),
    ({"retry_share": 1.5}, "retry_share", "out of range"),
    ({"hedge_ms": HEDGE_MS_MIN - 1}, "hedge_ms", "too short"),
    ({"fallbacks": ["n"]}, "fallbacks", "not a known key"),
])
def test_faults_of_options(options: dict[str, object], key: str, words: str) -> None:
    _, findings = read(m={"deployments": ONE, **options}, n={"deployments": ONE})
    [fault] = findings.faults
    assert fault.key == f"routes.m.{key}" and words in fault.problem


def test_a_pattern_has_no_aliases() -> None:
    _, findings = read(gptSTAR={"deployments": ONE, "aliases": ["fast"]})
    assert [f.key for f in findings.faults] == ['routes."gpt*".aliases']


def test_two_routes_with_one_alias() -> None:
    _, findings = read(m={"deployments": ONE, "aliases": ["x"]},
                       n={"deployments": ONE, "aliases": ["x"]})
    assert [f.key for f in findings.faults] == ["routes.n.aliases"]


def test_reasons_without_a_fallback() -> None:
    _, findings = read(m={"deployments": ONE, "fallback_on": ["context_length"]})
    assert not findings.faults and [w.key for w in findings.warnings] == ["routes.m.fallback_on"]
