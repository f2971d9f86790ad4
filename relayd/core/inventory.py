"""The data inventory: what is kept, as the program's own file lists it, and what the words mean.

Law: a field without a category, a form, a source, an export and a fate is a fault of the file, and
so is a place for what is of the class `content`. Every word that people read is in both languages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from relayd.core.account import LANGUAGES, Language
from relayd.core.erasure import FATES
from relayd.core.retention import BY_NAME, Terms

DataClass = Literal["personal", "financial", "security", "operational", "secret", "content"]
CLASSES: Final = frozenset(get_args(DataClass))
Source = Literal["user", "auto", "third_party"]
SOURCES: Final = frozenset(get_args(Source))
ERASE: Final = frozenset(FATES) | {"none"}
_SHOWN: Final = {"shown": True, "hidden": False}

Words = Mapping[str, str]
"""A text by language."""


class InventoryFault(Exception):
    """The file is not an inventory: our own mistake, found by tests."""


@dataclass(frozen=True, slots=True)
class Field:
    """One stored field. `table` is empty in places that have none."""

    place: str
    table: str
    name: str
    category: str
    form: str
    source: str
    export: bool
    erase: str

    @property
    def full_name(self) -> str:
        """`table.name`, or the bare name."""
        return f"{self.table}.{self.name}" if self.table else self.name


@dataclass(frozen=True, slots=True)
class Category:
    """What is kept and why, how long and who may read it."""

    id: str
    data_class: str
    name: Words
    data: Words
    purpose: Words
    term: str
    readers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inventory:
    """The whole file. `forms`, `places`, `terms`, `readers`: what their words mean."""

    categories: Mapping[str, Category]
    fields: tuple[Field, ...]
    forms: Mapping[str, Words]
    places: Mapping[str, Words]
    terms: Mapping[str, Words]
    readers: Mapping[str, Words]

    def of(self, category: str) -> tuple[Field, ...]:
        """A category's fields."""
        return tuple(each for each in self.fields if each.category == category)

    def term(self, category: Category, terms: Terms, language: Language) -> str:
        """How long a category is kept, by the terms in force, in words."""
        if category.term in self.terms:
            return self.terms[category.term][language]
        value = terms.value(category.term)
        if value == 0 and category.data_class != "content":
            return _SUMS[language]
        return _span(value, BY_NAME[category.term].unit, language)


_UNITS: Final = {
    "en": {"days": ("day", "days"), "hours": ("hour", "hours"), "minutes": ("minute", "minutes")},
    "zh": {"days": ("天", "天"), "hours": ("小时", "小时"), "minutes": ("分钟", "分钟")},
}
_SUMS: Final = {"en": "as long as the account exists; after that without what leads to it",
                "zh": "账户存续期间；此后去除可指向该账户的部分"}
"""What has no term of its own: sums stay when what they add up is gone."""


def _span(value: int, unit: str, language: Language) -> str:
    if value == 0:
        return {"en": "not kept", "zh": "不保存"}[language]
    return f"{value} {_UNITS[language][unit][value != 1]}"


def parse(values: Mapping[str, Any]) -> Inventory:
    """The inventory of a parsed file. Raises InventoryFault."""
    forms, places, terms, readers = (
        {name: _words(name, words) for name, words in values[part].items()}
        for part in ("forms", "places", "terms", "readers"))
    categories = {name: _category(name, row, terms, readers)
                  for name, row in values["categories"].items()}
    fields = tuple(field for table in values["tables"]
                   for field in _fields(table, categories, forms, places))
    names = [(field.place, field.full_name) for field in fields]
    if len(set(names)) < len(names):
        raise InventoryFault("a field is listed twice")
    return Inventory(categories, fields, forms, places, terms, readers)


def _words(name: str, words: Mapping[str, str]) -> Words:
    if set(words) != set(LANGUAGES) or not all(words.values()):
        raise InventoryFault(f"{name}: a language is missing")
    return words


def _category(
    name: str, row: Mapping[str, Any], terms: Mapping[str, Words], readers: Mapping[str, Words],
) -> Category:
    made = Category(
        name, row["class"], _words(name, row["name"]), _words(name, row["data"]),
        _words(name, row["purpose"]), row["term"], tuple(row["readers"]))
    if made.data_class not in CLASSES or set(made.readers) - set(readers):
        raise InventoryFault(f"{name}: an unknown class or reader")
    if made.term not in terms and made.term not in BY_NAME:
        raise InventoryFault(f"{name}: an unknown term")
    if not made.readers and made.data_class != "content":
        raise InventoryFault(f"{name}: nobody reads it, not even the machine")
    return made


def _fields(
    table: Mapping[str, Any], categories: Mapping[str, Category], forms: Mapping[str, Words],
    places: Mapping[str, Words],
) -> Iterator[Field]:
    category = categories.get(table["category"])
    if category is None or table["place"] not in places:
        raise InventoryFault(f"{table['name']}: an unknown category or place")
    if category.data_class == "content":
        raise InventoryFault(f"{table['name']}: content has no place")
    for name, text in table["fields"].items():
        form, *others = text.split()
        field = _field(table, name, form, others)
        known = form in forms and field.source in SOURCES and field.erase in ERASE
        if not known or not isinstance(field.export, bool):
            raise InventoryFault(f"{table['name']}.{name}: an unknown word")
        yield field


def _field(table: Mapping[str, Any], name: str, form: str, others: list[str]) -> Field:
    source, export, erase = table["source"], table["export"], table["erase"]
    for word in others:
        if word in SOURCES:
            source = word
        elif word in _SHOWN:
            export = _SHOWN[word]
        else:
            erase = word
    return Field(table["place"], table["name"], name, table["category"], form, source, export,
                 erase)
