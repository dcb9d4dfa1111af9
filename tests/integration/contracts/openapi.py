"""Two OpenAPI documents compared: what of the new one breaks a client of the old one.

What comes in may only be widened, what goes out only be narrowed or added to. Source: the
substitution principle, as applied to HTTP in https://opensource.zalando.com/restful-api-guidelines/#107.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Schema = Mapping[str, Any]
Direction = Literal["in", "out"]

METHODS: Final = ("get", "put", "post", "delete", "patch", "head", "options")
UPPER: Final = ("maxLength", "maximum", "maxItems", "exclusiveMaximum")
LOWER: Final = ("minLength", "minimum", "minItems", "exclusiveMinimum")
ANYTHING: Final = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


def breaking(old: Schema, new: Schema) -> list[str]:
    """Every change from *old* to *new* that a client of *old* can notice to its harm, in words."""
    return list(_Comparison(old=old, new=new).paths())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Comparison:
    old: Schema
    new: Schema
    seen: set[tuple[str, str, str]] = field(default_factory=set)

    def paths(self) -> Iterator[str]:
        for path, item in self.old["paths"].items():
            for method in METHODS:
                if method not in item:
                    continue
                where = f"{method.upper()} {path}"
                found = self.new["paths"].get(path, {}).get(method)
                if found is None:
                    yield f"{where}: removed"
                else:
                    yield from self.operation(where, item[method], found)

    def operation(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        if new.get("security") and not old.get("security"):
            yield f"{where}: needs a token now"
        yield from self.parameters(where, old, new)
        yield from self.request(f"{where} request", old.get("requestBody"), new.get("requestBody"))
        for status, response in old.get("responses", {}).items():
            if not status.startswith("2"):
                continue
            if status not in new.get("responses", {}):
                yield f"{where}: status {status} removed"
            else:
                yield from self.media(f"{where} response {status}", response, new["responses"][status], "out")

    def parameters(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        before, after = ({(one["in"], one["name"]): one for one in op.get("parameters", ())} for op in (old, new))
        for (place, name), one in after.items():
            if one.get("required") and not before.get((place, name), {}).get("required"):
                yield f"{where}: {place} parameter {name} is required now"
        for (place, name), one in before.items():
            if (place, name) not in after:
                yield f"{where}: {place} parameter {name} removed"
            else:
                schema = after[place, name].get("schema", {})
                yield from self.schema(f"{where} parameter {name}", one.get("schema", {}), schema, "in")

    def request(self, where: str, old: Schema | None, new: Schema | None) -> Iterator[str]:
        if new and new.get("required") and not (old or {}).get("required"):
            yield f"{where}: a body is required now"
        if old and not new:
            yield f"{where}: the body was removed"
        if old and new:
            yield from self.media(where, old, new, "in")

    def media(self, where: str, old: Schema, new: Schema, way: Direction) -> Iterator[str]:
        for kind, content in old.get("content", {}).items():
            if kind not in new.get("content", {}):
                yield f"{where}: {kind} removed"
            else:
                yield from self.schema(where, content.get("schema", {}), new["content"][kind].get("schema", {}), way)

    def schema(self, where: str, old: Schema, new: Schema, way: Direction) -> Iterator[str]:
        names = (str(old.get("$ref")), str(new.get("$ref")), way)
        if "$ref" in old and names in self.seen:
            return
        self.seen.add(names)
        old, new = _resolved(self.old, old), _resolved(self.new, new)
        narrow, wide = (old, new) if way == "in" else (new, old)
        if extra := _types(narrow) - _types(wide):
            yield f"{where}: type {_words(_types(old))} became {_words(_types(new))} ({_words(extra)})"
            return
        yield from _values(where, narrow, wide, way)
        if way == "in":
            yield from _limits(where, old, new)
        yield from self.members(where, old, new, way)
        yield from self.parts(where, old, new, way)

    def parts(self, where: str, old: Schema, new: Schema, way: Direction) -> Iterator[str]:
        if "items" in old and "items" in new:
            yield from self.schema(f"{where}[]", old["items"], new["items"], way)
        before, after = (_variants(root, one) for root, one in ((self.old, old), (self.new, new)))
        for kind in before.keys() & after.keys():
            yield from self.schema(where, before[kind], after[kind], way)

    def members(self, where: str, old: Schema, new: Schema, way: Direction) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before.keys() - after.keys():
            yield f"{where}.{name}: removed"
        first, then = (set(one.get("required", ())) for one in (old, new))
        for name in (then - first) if way == "in" else ():
            yield f"{where}.{name}: is required now"
        for name in (first - then) & after.keys() if way == "out" else ():
            yield f"{where}.{name}: need not be there any more"
        if way == "in" and new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
            yield f"{where}: unknown members are refused now"
        for name in before.keys() & after.keys():
            yield from self.schema(f"{where}.{name}", before[name], after[name], way)


def _resolved(document: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def _choices(schema: Schema) -> list[Schema]:
    return list(schema.get("anyOf", ())) or list(schema.get("oneOf", ()))


def _variants(document: Schema, schema: Schema) -> Mapping[str, Schema]:
    """The alternatives of a schema, by their type."""
    found = [_resolved(document, choice) for choice in _choices(schema)]
    return {_words(_types(one)): one for one in found}


def _types(schema: Schema) -> frozenset[str]:
    if choices := _choices(schema):
        return frozenset().union(*(_types(choice) for choice in choices))
    named = schema.get("type")
    if named is None:
        return frozenset({"object"}) if "$ref" in schema else ANYTHING
    names = frozenset([named] if isinstance(named, str) else named)
    return names | {"integer"} if "number" in names else names


def _allowed(schema: Schema) -> frozenset[str] | None:
    """The values of an enumeration; None: any."""
    if "const" in schema:
        return frozenset([repr(schema["const"])])
    return frozenset(map(repr, schema["enum"])) if "enum" in schema else None


def _values(where: str, narrow: Schema, wide: Schema, way: Direction) -> Iterator[str]:
    """What fits *narrow* must fit *wide*."""
    some, most = _allowed(narrow), _allowed(wide)
    if most is None or (some is not None and some <= most):
        return
    verb = "are not taken any more" if way == "in" else "can be answered now"
    yield f"{where}: {'other values' if some is None else _words(some - most)} {verb}"


def _limits(where: str, old: Schema, new: Schema) -> Iterator[str]:
    for name in UPPER:
        if name in new and new[name] < old.get(name, float("inf")):
            yield f"{where}: {name} is {new[name]}, was {old.get(name, 'unlimited')}"
    for name in LOWER:
        if name in new and new[name] > old.get(name, float("-inf")):
            yield f"{where}: {name} is {new[name]}, was {old.get(name, 'unlimited')}"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"{where}: pattern is {new['pattern']!r}, was {old.get('pattern')!r}"


def _words(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
