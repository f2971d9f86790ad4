"""Field tables: what becomes of each member of a request body, and the order it is written in.

A table is data: an ordered mapping from a field's name to its verdict. A verdict is None (pass as
it is) or an act, a function `(value, walk) -> value` that may return `GONE`, change the value, or
raise RelayError. Law: acts name fields by the tables' own words; a value never gets into a report.

Objects of a known shape are written in the table's order, whatever order they came in; members
that no table knows follow, sorted by name. Free JSON (tool arguments, schema constants) has no
act, so it keeps its order: there the order is content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from relayd.core.errors import RelayError
from relayd.wire.walk import Walk, printable

DIGITS_MAX: Final = 15
"""Digits that every reader of JSON keeps."""

PLANS_MAX: Final = 512
"""Remembered key orders of one shape. They hold known names alone, never a client's words."""


NOUNS: Final = ("user", "session", "conversation", "thread", "message", "parent", "run", "trace",
                "request", "device", "client", "chat", "turn", "account", "workspace", "tenant")
"""What applications give ids to."""


class Gone:
    """The type of GONE: the field is not written."""


GONE: Final = Gone()


Act = Callable[[object, Walk], object]
Verdict = Act | None


def drop(report: str) -> Act:
    """The field is not written; named in the report unless it said nothing."""
    def act(value: object, walk: Walk) -> object:
        if value not in (None, False, "") and value != [] and value != {}:
            walk.drop(report)
        return GONE
    return act


COPIES: Final = (
    "id", "uuid", "metadata", "timestamp", "ts",
    "created_at", "createdAt", "updated_at", "updatedAt",
    *(f"{noun}_id" for noun in NOUNS), *(f"{noun}Id" for noun in NOUNS),
)
"""Members that applications keep in their own copies of messages; no API has them there."""


def copies(where: str) -> dict[str, Verdict]:
    """The verdicts of such members, `where` before their names."""
    return {name: drop(f"{where}.{name}") for name in COPIES}


def refuse(param: str) -> Act:
    """The request is refused with 400, unless the field says nothing."""
    def act(value: object, walk: Walk) -> object:
        if value in (None, False, "") or value == [] or value == {}:
            return GONE
        raise RelayError("refused_field", param=param)
    return act


def remote(param: str, then: Act) -> Act:
    """What makes the provider contact others: `then` where `remote_mcp` is on, else refused."""
    refused = refuse(param)

    def act(value: object, walk: Walk) -> object:
        return then(value, walk) if walk.policy.remote_mcp == "on" else refused(value, walk)
    return act


def filled(act: Act) -> Act:
    """Runs `act`; an empty result is not written, nor null."""
    def run(value: object, walk: Walk) -> object:
        value = act(value, walk)
        return GONE if value is None or value == {} or value == [] else value
    return run


def silent(value: object, walk: Walk) -> object:
    """The field is not written and not named: it adds nothing here."""
    return GONE


def number(value: object, walk: Walk) -> object:
    """A number: an integral float is written as the integer that it equals."""
    if type(value) is float and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    return value


def flag_stream(value: object, walk: Walk) -> object:
    """`stream`: false equals absent; anything but a boolean is refused."""
    if value is True:
        walk.stream = True
        return True
    if value is False:
        return GONE
    raise RelayError("invalid_field", param="stream")


def int64(value: object, walk: Walk) -> object:
    """A whole number of protobuf's, which may also be written as a string of its digits."""
    if type(value) is str and value.isascii() and value.isdecimal() and len(value) <= DIGITS_MAX:
        return int(value)
    return number(value, walk)


def by_name(value: object, walk: Walk) -> object:
    """Any structure whose order says nothing: members sorted by name at every level."""
    if type(value) is dict:
        for key, inner in value.items():
            if type(inner) is dict or type(inner) is list:
                value[key] = by_name(inner, walk)
        keys = list(value)
        ordered = sorted(keys)
        return value if keys == ordered else {key: value[key] for key in ordered}
    if type(value) is list:
        for index, inner in enumerate(value):
            if type(inner) is dict or type(inner) is list:
                value[index] = by_name(inner, walk)
    return value


def said(value: object, walk: Walk) -> object:
    """Any structure, as `by_name`; null says nothing and is not written."""
    if type(value) is str:
        return value
    return GONE if value is None else by_name(value, walk)


_KEEP_STRINGS: Final[set[Act]] = set()
"""The acts that `items` and `enum` have made."""


def enum(*names: str) -> Act:
    """One of protobuf's enumerations: a number is written as the name that it stands for."""
    def act(value: object, walk: Walk) -> object:
        return names[value] if type(value) is int and 0 <= value < len(names) else value
    _KEEP_STRINGS.add(act)
    return act


def items(act: Act) -> Act:
    """A list whose objects are each acted on; a lone object is taken for its only element."""
    shape = getattr(act, "__self__", None)
    calm = shape.calm if isinstance(shape, Shape) else {}

    def run(value: object, walk: Walk) -> object:
        if type(value) is dict:
            return act(value, walk)
        if type(value) is not list:
            return value
        gone = False
        for index, inner in enumerate(value):
            kind = type(inner)
            if kind is dict:
                # most messages: nothing to do, which is found out without a call
                text = calm.get(tuple(inner)) if calm else None
                if text is not None and type(inner[text]) is str:
                    continue
                new = act(inner, walk)
            elif kind is bytes:
                new = walk.known.take(inner, act, walk)  # type: ignore[union-attr]
            else:
                continue
            if new is not inner:
                value[index] = new
                gone = gone or new is GONE
        return [inner for inner in value if inner is not GONE] if gone else value

    _KEEP_STRINGS.add(run)
    return run


def whole(act: Verdict) -> Act:
    """A long value, which may be known as it is, else `act` is its own."""
    def run(value: object, walk: Walk) -> object:
        if type(value) is bytes:
            return walk.known.take(value, act, walk)  # type: ignore[union-attr]
        return value if act is None else act(value, walk)
    return run


def members(act: Act) -> Act:
    """A map of names to objects: the names and their order are content, the objects are not."""
    def run(value: object, walk: Walk) -> object:
        if type(value) is dict:
            for key, inner in value.items():
                if type(inner) is dict:
                    value[key] = act(inner, walk)
        return value
    return run


def kinds(by: str, acts: Mapping[str, Act], other: Act) -> Act:
    """An object whose member `by` says which act is its own."""
    def run(value: object, walk: Walk) -> object:
        if type(value) is not dict:
            return value
        kind = value.get(by)
        return (acts.get(kind, other) if type(kind) is str else other)(value, walk)
    return run


def kept_type(act: Verdict) -> type | None:
    """The type whose values an act gives back as they are, if there is one: it need not run."""
    if act is number:
        return int
    kept = act in _KEEP_STRINGS or act is by_name
    return str if kept or isinstance(getattr(act, "__self__", None), Shape) else None


def snake(name: str) -> str:
    """The other spelling of a lowerCamelCase name that protobuf's JSON form accepts."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


Step = tuple[str, str, Verdict]
"""(name as it came, name as it is written, its verdict)."""


class _Names:
    """The names of one table: rank, verdict, and other spellings of the same name."""

    __slots__ = ("verdicts", "ranks", "spellings")

    def __init__(self, verdicts: Mapping[str, Verdict], snake_too: bool) -> None:
        self.verdicts = dict(verdicts)
        self.ranks = {name: rank for rank, name in enumerate(self.verdicts)}
        self.spellings = {snake(n): n for n in verdicts if snake(n) != n} if snake_too else {}

    def steps(self, keys: tuple[str, ...]) -> tuple[list[Step], list[str]]:
        """The known of `keys` in written order, and the unknown ones, sorted.

        Of two spellings of one name the first in the table's own spelling counts.
        """
        steps: list[Step] = []
        unknown: list[str] = []
        for key in keys:
            name = self.spellings.get(key, key)
            if name not in self.ranks:
                unknown.append(key)
            elif name == key or name not in keys:
                steps.append((key, name, self.verdicts[name]))
        steps.sort(key=lambda step: self.ranks[step[1]])
        unknown.sort()
        return steps, unknown


Order = tuple[tuple[str, str], ...]
"""(name as it came, name as it is written) of every member."""

Plan = tuple[tuple[tuple[str, Act], ...], Order | None]
"""(the acts of the members that have one, the order to write in: None where it is so already)."""


class Shape:
    """An object with a table of its members. `put` is its act; `other` that of unknown ones."""

    __slots__ = ("_names", "_plans", "_other", "calm")

    def __init__(
        self, verdicts: Mapping[str, Verdict] | None = None, *, snake_too: bool = False,
        other: Act = by_name,
    ) -> None:
        self._other = other
        self._plans: dict[tuple[str, ...], Plan] = {}
        self.calm: dict[tuple[str, ...], str] = {}
        """Key orders with which an object stays as it is where the named member is a string."""
        self.define(verdicts or {}, snake_too=snake_too)

    def define(self, verdicts: Mapping[str, Verdict], *, snake_too: bool = False) -> None:
        """Sets the table: for a shape that holds itself, or one that comes after it."""
        self._names = _Names(verdicts, snake_too)

    def put(self, value: object, walk: Walk) -> object:
        """Orders the object's members and acts on them, in place where it can."""
        if type(value) is not dict:
            return value
        plan = self._plans.get(tuple(value))
        if plan is None:
            plan = self._plan(tuple(value))
        for name, act in plan[0]:
            old = value[name]
            new = act(old, walk)
            if new is GONE:
                del value[name]
            elif new is not old:
                value[name] = new
        order = plan[1]
        if order is None:
            return value
        return {name: value[key] for key, name in order if key in value}

    def _plan(self, keys: tuple[str, ...]) -> Plan:
        steps, unknown = self._names.steps(keys)
        acts = [(key, act) for key, _, act in steps if act is not None]
        acts += [(key, self._other) for key in unknown]
        order: Order = (*((key, name) for key, name, _ in steps), *((k, k) for k in unknown))
        same = order == tuple((key, key) for key in keys)
        plan = (tuple(acts), None if same else order)
        if not unknown:
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
                self.calm.clear()
            self._plans[keys] = plan
            if same and len(acts) == 1 and kept_type(acts[0][1]) is str:
                self.calm[keys] = acts[0][0]
            elif same and keys and not acts:
                self.calm[keys] = keys[0]
        return plan


Reading = tuple[str, str, Verdict, type | None]
"""A step, and the type of values that its act keeps."""

Finish = Callable[[dict[str, object], Walk], None]


def _finish_nothing(fields: dict[str, object], walk: Walk) -> None:
    return None


class Table:
    """The table of a whole body: as a Shape, but null equals absent, and the policy says what
    becomes of unknown fields.

    `finish` sets what the table forces, after all fields have been read. `default_model` is the
    model that the API itself takes where none is named.
    """

    __slots__ = ("names", "finish", "default_model", "_plans")

    def __init__(
        self,
        verdicts: Mapping[str, Verdict],
        finish: Finish = _finish_nothing,
        *,
        default_model: str | None = None,
        snake_too: bool = False,
    ) -> None:
        self.names = _Names(verdicts, snake_too)
        self.finish = finish
        self.default_model = default_model
        self._plans: dict[tuple[str, ...], tuple[Reading, ...]] = {}

    def read(self, body: dict[str, object], walk: Walk) -> dict[str, object]:
        """The fields to write, in order. `body` is consumed."""
        steps = self._plans.get(tuple(body))
        unknown: Sequence[str] = ()
        if steps is None:
            steps, unknown = self._plan(tuple(body))
        fields: dict[str, object] = {}
        for key, name, act, kept in steps:
            value = body[key]
            if value is None:
                continue
            if act is not None and type(value) is not kept:
                value = act(value, walk)
                if value is GONE:
                    continue
            fields[name] = value
        for name in unknown:
            self._unknown(name, body[name], fields, walk)
        self.finish(fields, walk)
        return fields

    def _plan(self, keys: tuple[str, ...]) -> tuple[tuple[Reading, ...], list[str]]:
        found, unknown = self.names.steps(keys)
        steps = tuple([(key, name, act, kept_type(act)) for key, name, act in found])
        if not unknown:
            if len(self._plans) >= PLANS_MAX:
                self._plans.clear()
            self._plans[keys] = steps
        return steps, unknown

    @staticmethod
    def _unknown(name: str, value: object, fields: dict[str, object], walk: Walk) -> None:
        policy = walk.policy
        if value is None:
            return
        if name in policy.pass_fields or policy.unknown_fields == "pass":
            fields[name] = by_name(value, walk)
        elif policy.unknown_fields == "refuse":
            raise RelayError("unknown_field", param=printable(name))
        else:
            walk.drop(name)
