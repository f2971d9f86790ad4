"""The console's API as its own description says it is: tried by schemathesis as nobody, as a
holder, and as each role, on a running relay.

No answer is a failure of the relay or outside of its schema, and none holds anything of another
account's: `QUOKKA` stands in every field that a second account has.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance, response_schema_conformance, status_code_conformance,
)

from relayd.console import openapi, pages
from relayd.control import key, limit, profile, usage
from relayd.core.actor import ROLES, SHELL, Role
from relayd.core.call import Place
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.ops.clock import unix_ms
from tests.console.people import Person, person
from tests.fakes.house import House
from tests.fakes.records import call_record

# the relay, on a thread of its own, rolls dice: hypothesis takes that for its strategies' doing
pytestmark = pytest.mark.filterwarnings(
    "ignore:Do not use the `random` module inside strategies")
QUOKKA = "quokka"
OF_ALL = frozenset({"GET /api/v1/operate/margin"})
"""Sums over all accounts, for finance, by the names of models, which are the routes' own."""
EXAMPLES = 6
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance,
          response_schema_conformance]
OF_ONE_KIND = settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
    phases=[Phase.generate], suppress_health_check=list(HealthCheck))
SCHEMA = schemathesis.openapi.from_dict(openapi.document(pages.ROUTES))
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]


@dataclass
class Somebody:
    """Who asks. A session that its own requests have ended is followed by another one."""

    house: House
    roles: tuple[Role, ...] | None
    signed: Person | None = None
    things: dict[str, dict[str, str]] = field(default_factory=dict)

    def headers(self) -> dict[str, str]:
        """What shows who asks; nothing for nobody."""
        if self.roles is None:
            return {}
        if self.signed is None:
            name = secrets.token_hex(8)
            self.signed = self.house.run(person(
                self.house.app.db, unix_ms(), *self.roles, name=name, two_factors=True,
            ) if self.roles else self.house.newcomer(name))
        return self.signed.bearer

    def ask(self, session: requests.Session, case: Case) -> Any:
        """The answer."""
        answer = case.call(base_url=self.house.origin, session=session, headers=self.headers())
        if answer.status_code == 401:
            self.signed = None
        return answer

    def own(self) -> dict[str, str]:
        """Ids of things of one's own."""
        self.headers()
        if self.signed is None:
            return {}
        if self.signed.account not in self.things:
            mark = "m" + secrets.token_hex(8)
            self.things[self.signed.account] = self.house.run(
                things(self.house, self.signed, mark))
        return self.things[self.signed.account]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running relay. How long an answer must take is for another test."""
    with House(tmp_path_factory.mktemp("house")) as made:
        assert made.app.console is not None
        made.app.console.listener._services.door._steady_seconds = 0.0
        yield made


@pytest.fixture(scope="module")
def other(house: House) -> dict[str, str]:
    """Ids of things of a second account, all of which are marked."""
    who = house.run(person(house.app.db, unix_ms(), name=QUOKKA))
    return house.run(things(house, who, QUOKKA))


async def things(house: House, who: Person, mark: str) -> dict[str, str]:
    """Gives an account what accounts have, all of it marked; the ids by their names in paths."""
    db, now_ms = house.app.db, unix_ms()
    await profile.change(
        db, SHELL, who.account, profile.Profile(f"{mark}-name", mark, "en", None), now_ms)
    wish = key.KeyWish(mark, f"{mark}-app", (f"{mark}-*",))
    issued = await key.create(db, who.account, wish, now_ms)
    await limit.change(db, "key", issued.key.id, {"concurrent": "7"}, now_ms)
    record = call_record(
        account=who.account, key=issued.key.id, app=f"{mark}-app", model=f"{mark}-model",
        started_at_ms=now_ms, id=ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)))
    await usage.post(db, [record])
    return {"account": who.account, "key": issued.key.id,
            "place": Place(now_ms, record.id).text()}


Wrong = dict[str, dict[str, str]]
"""What was wrong, by who asked and by operation."""


def tried(
    people: Mapping[str, Somebody], operation: Any, other: dict[str, str], mode: GenerationMode
) -> dict[str, str]:
    """Some requests of one operation, about things of one's own, of the other account, of none:
    each by everybody, as to make them up costs more than to ask. What was wrong, by who asked."""
    found: dict[str, str] = {}
    with requests.Session() as session:
        session.trust_env = False

        @OF_ONE_KIND
        @given(case=operation.as_strategy(generation_mode=mode),
               about=st.sampled_from(("own", "other", "none")))
        def once(case: Case, about: str) -> None:
            made = dict(case.path_parameters or {})
            for name, who in people.items():
                if name in found:
                    continue  # as when it is asked alone: the first fault is told
                ids = {"own": who.own, "other": lambda: other, "none": dict}[about]()
                for parameter, value in made.items():
                    case.path_parameters[parameter] = ids.get(parameter, value)
                try:
                    judge(case, who.ask(session, case), operation.label)
                except (AssertionError, BaseExceptionGroup, requests.RequestException) as error:
                    found[name] = str(error)

        once()
    return found


def judge(case: Case, answer: Any, label: str) -> None:
    """Raises what is wrong with an answer."""
    if answer.status_code == 400 and "json" not in answer.headers["content-type"][0]:
        return  # what was generated is no HTTP, a line too long for one; no operation's
    case.validate_response(answer, checks=CHECKS)
    if label not in OF_ALL:
        assert QUOKKA.encode() not in answer.content.lower(), case.as_curl_command()


def all_tried(
    people: Mapping[str, Somebody], operations: list[Any], other: dict[str, str],
    mode: GenerationMode,
) -> Wrong:
    """One fault does not hide the others."""
    wrong: Wrong = {name: {} for name in people}
    for operation in operations:
        for name, fault in tried(people, operation, other, mode).items():
            wrong[name][operation.label] = fault
    return wrong


WHO: dict[str, tuple[Role, ...] | None] = {
    "nobody": None, "holder": (), **{role: (role,) for role in ROLES}}


@pytest.fixture(scope="module")
def wrong(house: House, other: dict[str, str], request: pytest.FixtureRequest) -> Wrong:
    """With the answers to everybody whom pytest has chosen."""
    chosen = dict.fromkeys(
        item.callspec.params["name"] for item in request.session.items
        if item.path == request.path and item.name.startswith("test_answers_are_as_described["))
    people = {name: Somebody(house, WHO[name]) for name in chosen}
    return all_tried(people, OPERATIONS, other, GenerationMode.POSITIVE)


@pytest.mark.parametrize("name", WHO)
def test_answers_are_as_described(wrong: Wrong, name: str) -> None:
    assert wrong[name] == {}


def test_what_is_badly_formed_is_refused_as_described(
    house: House, other: dict[str, str]
) -> None:
    takers = [operation for operation in OPERATIONS if operation.body or operation.query]
    everything = {"everything": Somebody(house, ROLES)}
    assert all_tried(everything, takers, other, GenerationMode.NEGATIVE) == {"everything": {}}


def test_D3_only_who_may_is_let_in(house: House, other: dict[str, str]) -> None:
    wrong = []
    people = {name: Somebody(house, roles) for name, roles in WHO.items()}
    for operation in OPERATIONS:
        said = operation.definition.raw
        path = house.origin + operation.path.format_map(_Any(other))
        for name, roles in WHO.items():
            if may(roles, said):
                continue
            answer = requests.request(operation.method, path, json={}, timeout=10,
                                      headers=people[name].headers())
            code = answer.json()["error"]["code"]
            if code != ("session_ended" if roles is None else "role_needed"):
                wrong.append((operation.label, name, code))
    assert wrong == []


def may(roles: tuple[Role, ...] | None, said: dict[str, Any]) -> bool:
    """Whether somebody with these roles has access, by the description."""
    if said["x-access"] == "public":
        return True
    return roles is not None and (
        said["x-access"] == "holder" or not set(said["x-roles"]).isdisjoint(roles))


class _Any(dict[str, str]):
    """Any name of a path has something."""

    def __missing__(self, name: str) -> str:
        return "x"
