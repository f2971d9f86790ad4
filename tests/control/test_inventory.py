"""What documents tell of the inventory, in both languages, with the terms in force."""

from __future__ import annotations

from relayd.control import inventory
from relayd.core.account import LANGUAGES
from relayd.core.retention import Terms


def test_O1_every_category_is_told_in_both_languages() -> None:
    found = inventory.read()
    for language in LANGUAGES:
        told = inventory.told(found, Terms(), language)
        assert [each.id for each in told] == list(found.categories)
        for each in told:
            assert each.name and each.data and each.purpose and each.term
            assert bool(each.places) == (each.data_class != "content")
    assert inventory.told(found, Terms(), "en") != inventory.told(found, Terms(), "zh")


def test_terms_follow_the_configuration() -> None:
    found = inventory.read()
    network, = (each for each in inventory.told(found, Terms({"network_records": 200}), "en")
                if each.id == "network")
    assert network.term == "200 days"
    assert network.readers == ("you", "security staff, with a recorded reason")
    assert network.places == ("database",) and "sealed" in network.fields


def test_the_whole_as_json() -> None:
    shown = inventory.view(inventory.read(), Terms())
    fields = shown["fields"]
    assert isinstance(fields, list)
    assert {"place": "relayd.db", "name": "accounts.email", "category": "account",
            "form": "sealed", "source": "user", "export": True, "erase": "empty"} in fields
