"""The menu shows what the visitor may open."""

from __future__ import annotations

from typing import cast

from relayd.console.frame import Frame, Item, may_open
from relayd.console.route import HOLDER, PUBLIC, operators
from relayd.console.visit import Visit
from relayd.control.session import Signed
from relayd.core.account import Account
from relayd.core.session import Session

ANN = Account("acct_1", "a@b", None, "active", 1)


class _Visit:
    """As much of a visit as the menu looks at."""

    def __init__(self, *roles: str, stage: str = "open", nobody: bool = False) -> None:
        session = Session(
            "s", "acct_1", stage, "password", "x", None, 1, 1, 1)  # type: ignore[arg-type]
        self.who = None if nobody else Signed(
            session, ANN, frozenset(roles))  # type: ignore[arg-type]


def paths(visit: _Visit) -> list[str]:
    items = (Item("/", "a.b"), Item("/mine", "a.b", HOLDER),
             Item("/staff", "a.b", operators("support", "legal")))
    return [item.path for _, part in Frame(items).groups(cast(Visit, visit)) for item in part]


def test_everybody_sees_their_own() -> None:
    assert paths(_Visit(nobody=True)) == []
    assert paths(_Visit()) == ["/", "/mine"]
    assert paths(_Visit("finance")) == ["/", "/mine"]
    assert paths(_Visit("legal")) == ["/", "/mine", "/staff"]


def test_a_session_that_waits_for_its_second_factor_is_nobodys() -> None:
    assert paths(_Visit("legal", stage="factor")) == ["/"]
    assert may_open(cast(Visit, _Visit(nobody=True)), PUBLIC)
