"""$filter (facts/onec.md §A2): comparisons of a property with a literal, joined by and, or, not and parentheses."""

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sandbox.onec.errors import Refusal, bad_query, business, unknown_property, unsupported
from sandbox.onec.interests import Values
from sandbox.onec.reference import guid_of
from sandbox.onec.schema import Field, Shape, Type
from sandbox.onec.switches import Switches

Check = Callable[[Values], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<mark>[(),])|(?:guid'(?P<guid>[^']*)'|datetime'(?P<datetime>[^']*)'|'(?P<string>(?:[^']|'')*)'"
    r"|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[^\W\d][\w/.]*))(?=[\s(),]|$))\s*"
)
_DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_MIRRORED = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}
_ARITHMETIC = {"add", "sub", "mul", "div", "mod"}
_COMPARED_AS: dict[Type, str] = {"int16": "number", "int64": "number", "double": "number"}


@dataclass(frozen=True, slots=True)
class Node:
    """A condition. `refs` are the only objects that can fulfil it, None for any; `wanted` if it is a membership."""

    check: Check
    refs: frozenset[str] | None = None
    field: str = ""
    wanted: frozenset[Any] = frozenset()


EVERYTHING = Node(lambda _row: True)
NOTHING = Node(lambda _row: False, refs=frozenset())


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str


def compile_filter(text: str, shape: Shape, switches: Switches) -> Node:
    """Raises Refusal. A property that does not exist makes the answer empty, unless switched to an error."""
    parser = _Parser(_tokens(text), shape)
    node = parser.whole()
    if not parser.unknown:
        return node
    if switches.unknown_filter_field == "error":
        raise unknown_property(parser.unknown)
    return NOTHING


def _tokens(text: str) -> list[Token]:
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise bad_query(f"$filter, символ {at + 1}: {text[at : at + 20]!r}")
        kind = str(match.lastgroup)
        tokens.append(Token(kind, match[kind]))
        at = match.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens; `unknown` is the first property that the set does not have."""

    def __init__(self, tokens: list[Token], shape: Shape) -> None:
        self._tokens = tokens
        self._at = 0
        self._shape = shape
        self.unknown = ""

    def whole(self) -> Node:
        node = self._any()
        if self._at < len(self._tokens):
            raise self._unexpected()
        return node

    def _any(self) -> Node:
        nodes = [self._all()]
        while self._takes("or"):
            nodes.append(self._all())
        return nodes[0] if len(nodes) == 1 else _either(nodes, self._shape.key)

    def _all(self) -> Node:
        nodes = [self._one()]
        while self._takes("and"):
            nodes.append(self._one())
        return nodes[0] if len(nodes) == 1 else _both(nodes)

    def _one(self) -> Node:
        if self._takes("not"):
            inner = self._one()
            return Node(lambda row: not inner.check(row))
        if self._takes("("):
            node = self._any()
            if not self._takes(")"):
                raise self._unexpected()
            return node
        return self._comparison()

    def _comparison(self) -> Node:
        left, sign, right = self._operand(), self._next("word").text, self._operand()
        if sign in _ARITHMETIC:
            raise unsupported(f"{sign} в $filter")
        if sign not in _COMPARISONS:
            raise bad_query(f"неизвестная операция {sign}")
        if left.kind != "word":
            left, right, sign = right, left, _MIRRORED.get(sign, sign)
        if left.kind != "word" or right.kind == "word":
            raise bad_query("сравниваются свойство и значение")
        field = self._shape.fields.get(left.text)
        if field is None:
            self.unknown = self.unknown or left.text
            return NOTHING
        return _compared(field, sign, right, self._shape.key)

    def _operand(self) -> Token:
        token = self._next()
        if token.kind == "word" and token.text in ("true", "false"):
            return Token("bool", token.text)
        if token.kind == "mark":
            raise bad_query(f"лишнее {token.text}")
        if token.kind == "word" and self._peek() == "(":
            raise unsupported(f"функция {token.text} в $filter")
        return token

    def _peek(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) else ""

    def _next(self, kind: str = "") -> Token:
        if self._at == len(self._tokens) or kind not in ("", self._tokens[self._at].kind):
            raise self._unexpected()
        self._at += 1
        return self._tokens[self._at - 1]

    def _takes(self, text: str) -> bool:
        is_next = self._at < len(self._tokens) and self._tokens[self._at] in (Token("word", text), Token("mark", text))
        self._at += is_next
        return is_next

    def _unexpected(self) -> Refusal:
        return bad_query(f"$filter, лексема {self._at + 1}: {self._peek() or 'конец'}")


def _compared(field: Field, sign: str, token: Token, key: str) -> Node:
    value = _literal(token)
    if field.type == "composite" and token.kind == "guid":
        # Without a cast the platform compares two types that never meet, and says nothing (§A2).
        return NOTHING
    if token.kind != _COMPARED_AS.get(field.type, "string" if field.type == "composite" else field.type):
        raise bad_query(f"несовместимые типы: {field.name} и {token.text}")
    if field.type == "guid" and sign not in ("eq", "ne"):
        raise business(f"Операция сравнения {sign} недопустима для ссылок: {field.name}")
    if sign == "eq":
        return _member(field.name, {str(value) if field.type == "int64" else value}, key)
    name, compare = field.name, _COMPARISONS[sign]
    if field.type == "int64":
        return Node(lambda row: compare(int(row[name]), value))
    return Node(lambda row: compare(row[name], value))


def _literal(token: Token) -> Any:
    if token.kind == "guid":
        try:
            return guid_of(token.text)
        except ValueError as error:
            raise Refusal(400, 1, f"Не удалось преобразовать строку в GUID: {token.text}") from error
    if token.kind == "datetime" and not _DATETIME.fullmatch(token.text):
        raise bad_query(f"не дата: {token.text}")
    if token.kind == "number":
        return float(token.text) if "." in token.text else int(token.text)
    return token.text == "true" if token.kind == "bool" else token.text.replace("''", "'")


def _member(name: str, wanted: Iterable[Any], key: str) -> Node:
    """One look into a set, however many comparisons it was made of: clients ask for hundreds of references so."""
    values = frozenset(wanted)
    refs = values if name == key else None
    return Node(lambda row: row[name] in values, refs, name, values)


def _either(nodes: list[Node], key: str) -> Node:
    memberships: dict[str, set[Any]] = {}
    others = []
    for node in nodes:
        if node.field:
            memberships.setdefault(node.field, set()).update(node.wanted)
        else:
            others.append(node)
    joined = [_member(name, wanted, key) for name, wanted in memberships.items()] + others
    if len(joined) == 1:
        return joined[0]
    known = [node.refs for node in joined if node.refs is not None]
    refs = frozenset[str]().union(*known) if len(known) == len(joined) else None
    checks = [node.check for node in joined]
    return Node(lambda row: any(check(row) for check in checks), refs)


def _both(nodes: list[Node]) -> Node:
    known = [node.refs for node in nodes if node.refs is not None]
    refs = known[0].intersection(*known[1:]) if known else None
    checks = [node.check for node in nodes]
    return Node(lambda row: all(check(row) for check in checks), refs)
