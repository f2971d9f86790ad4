"""Who runs the relay: what must be declared, in which words, and what goes to whom."""

from __future__ import annotations

import pytest

from relayd.core.errors import RelayError
from relayd.core.operator import NEEDED, Operator, Processor

POST = Processor("Example Mail", "mail", ("email", "text"), "Germany", "2026-01-31")
FULL = Operator(name="Example Ltd", name_zh="示例", address="1 Street", contact="a@example.org",
                court="a court", privacy="p@example.org", processors=(POST,))


def test_C1_what_lacks_is_named() -> None:
    assert Operator().lacking() == list(NEEDED)
    assert FULL.lacking() == []


def test_a_text_in_a_language_or_in_the_other_one() -> None:
    assert FULL.said("name", "zh") == "示例" and FULL.said("name", "en") == "Example Ltd"
    assert FULL.said("address", "zh") == "1 Street"


def test_contacts_are_the_one_where_they_are_not_declared() -> None:
    assert FULL.contact_for("privacy") == "p@example.org"
    assert FULL.contact_for("security") == FULL.contact_for("billing") == "a@example.org"


def test_S2_an_undeclared_field_does_not_go_to_a_processor() -> None:
    found = FULL.processor("Example Mail")
    assert found is POST and FULL.processor("Other") is None
    POST.permit(("email", "text"))
    with pytest.raises(RelayError) as caught:
        POST.permit(("email", "username"))
    assert (caught.value.code, caught.value.param) == ("undeclared_field", "username")
    assert POST.declared({"email": "a", "ip": "b"}) == {"email": "a"}
