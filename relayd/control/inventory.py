"""The data inventory for documents and for people: a row per category, in a language.

Law: what is told is made of the file that a test holds against the schema, and of the terms in
force; nothing is told from memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from relayd.core.account import Language
from relayd.core.inventory import Category, Field, Inventory
from relayd.core.retention import Terms
from relayd.store import inventory as store_inventory


@dataclass(frozen=True, slots=True)
class Told:
    """A category in words. `data`: what is kept; `fields`: the same by the columns' names;
    `forms`: how it lies there; `sources`: user, auto, third_party."""

    id: str
    data_class: str
    name: str
    data: str
    purpose: str
    fields: tuple[str, ...]
    places: tuple[str, ...]
    forms: tuple[str, ...]
    sources: tuple[str, ...]
    term: str
    readers: tuple[str, ...]


def read() -> Inventory:
    """The inventory of this version."""
    return store_inventory.read()


def told(inventory: Inventory, terms: Terms, language: Language) -> list[Told]:
    """Every category, in the file's order, content first; for policies and pages."""
    return [_told(inventory, category, terms, language)
            for category in inventory.categories.values()]


def _told(
    inventory: Inventory, category: Category, terms: Terms, language: Language
) -> Told:
    fields = inventory.of(category.id)

    def words(names: list[str], meanings: str) -> tuple[str, ...]:
        found = getattr(inventory, meanings)
        return tuple(found[name][language] for name in dict.fromkeys(names))

    return Told(
        id=category.id, data_class=category.data_class, name=category.name[language],
        data=category.data[language], purpose=category.purpose[language],
        fields=tuple(dict.fromkeys(field.name for field in fields)),
        places=words([field.place for field in fields], "places"),
        forms=words([field.form for field in fields], "forms"),
        sources=tuple(dict.fromkeys(field.source for field in fields)),
        term=inventory.term(category, terms, language),
        readers=words(list(category.readers), "readers"),
    )


def view(inventory: Inventory, terms: Terms) -> dict[str, object]:
    """The inventory as JSON shows it: every field with all that is said of it."""
    return {
        "categories": [_view(inventory, category, terms)
                       for category in inventory.categories.values()],
        "fields": [_field_view(field) for field in inventory.fields],
    }


def _view(inventory: Inventory, category: Category, terms: Terms) -> dict[str, object]:
    return {
        "id": category.id, "class": category.data_class, "name": dict(category.name),
        "data": dict(category.data), "purpose": dict(category.purpose), "term": category.term,
        "kept": inventory.term(category, terms, "en"), "readers": list(category.readers),
    }


def _field_view(field: Field) -> dict[str, object]:
    return {
        "place": field.place, "name": field.full_name, "category": field.category,
        "form": field.form, "source": field.source, "export": field.export, "erase": field.erase,
    }
