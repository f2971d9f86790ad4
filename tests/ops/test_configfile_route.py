"""`[routes."MODEL"]`: what becomes a Route, and what is refused."""

from __future__ import annotations

import pytest

from relayd.core.route import Deployment, Route
from relayd.ops.configfile_fault import Findings
from relayd.ops.configfile_route import DEPLOYMENTS_MAX, read_routes
from relayd.ops.configfile_section import Section


def read(**routes: object) -> tuple[tuple[Route, ...], Findings]:
    findings = Findings()
    names = {name.replace("STAR", "*"): value for name, value in routes.items()}
    return read_routes(Section(names, ("routes",), findings), ("openai", "azure-east")), findings


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
    ("a**", True), ("é*", False),
])
def test_names(name: str, usable: bool) -> None:
    findings = Findings()
    table = {name: {"deployments": [{"provider": "openai"}]}}
    read_routes(Section(table, ("routes",), findings), ("openai",))
    assert bool(findings.faults) is not usable


def test_route_that_is_no_table() -> None:
    assert [f.key for f in read(m=1)[1].faults] == ["routes.m", "routes.m.deployments"]
