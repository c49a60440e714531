"""Translating pydantic's JSON schemas to the subset of JSON Schema that each provider supports.

Each node is rewritten. Keywords that the provider doesn't support (the limit of a length, a default) go into the
description, where the model reads them; the reply is validated against them in any case. A schema that has no
translation, because its keys or values are free, becomes None, and the encoder decides what to do without it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

__all__ = ["ANTHROPIC", "OPENAI", "Dialect", "translate"]

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """The subset of JSON Schema that a provider supports.

    `keywords` are the limits that it supports, `formats` the formats of strings. If `all_required`, every property must
    be required; if `recursive`, a schema may refer to itself.
    """

    keywords: frozenset[str]
    formats: frozenset[str]
    all_required: bool
    recursive: bool


FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
# https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
OPENAI = Dialect(
    keywords=frozenset(
        {"pattern", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems"}
    ),
    formats=FORMATS,
    all_required=True,
    recursive=True,
)
# https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
ANTHROPIC = Dialect(keywords=frozenset(), formats=FORMATS | {"uri"}, all_required=False, recursive=False)


class UntranslatableError(Exception):
    """The schema has no translation."""


def translate(schema: Schema, dialect: Dialect) -> Schema | None:
    """Translate `schema`, whose root is an object; return None if it has no translation."""
    try:
        if not dialect.recursive and any(holds(name, name, schema) for name in schema.get("$defs", ())):
            return None
        return translate_node(schema, dialect)
    except UntranslatableError:
        return None


def holds(name: str, sought: str, schema: Schema, seen: frozenset[str] = frozenset()) -> bool:
    """Return whether the definition `name` of `schema` refers to the definition `sought`, directly or not."""
    inside = references(schema["$defs"].get(name)) - seen
    return sought in inside or any(holds(each, sought, schema, seen | inside) for each in inside)


def references(node: object) -> set[str]:
    """Return the names of the definitions that `node` refers to."""
    if isinstance(node, dict):
        own = {node["$ref"].rpartition("/")[2]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def translate_node(schema: object, dialect: Dialect) -> Schema:
    """Translate one node with everything in it."""
    if not isinstance(schema, dict):
        raise UntranslatableError
    rest = dict(schema)
    node: Schema = {}
    if "$defs" in rest:
        node["$defs"] = {name: translate_node(each, dialect) for name, each in rest.pop("$defs").items()}
    while len(rest.get("allOf", ())) == 1:
        rest |= {**rest.pop("allOf")[0], **{key: value for key, value in rest.items() if key != "allOf"}}
    rest.pop("discriminator", None)
    title, text = rest.pop("title", None), rest.pop("description", None)
    node |= translate_kind(rest, dialect)
    if rest.get("default", ...) is None:
        del rest["default"]
    if rest:
        untranslated = ", ".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in rest.items())
        text = f"{text}\n\n{{{untranslated}}}" if text else f"{{{untranslated}}}"
    if "$ref" in node:  # it allows no siblings
        return {**({"anyOf": [node]} if text else node), **({"description": text} if text else {})}
    about = {"title": title, "description": text}
    return {**node, **{key: value for key, value in about.items() if value is not None}}


def translate_kind(rest: Schema, dialect: Dialect) -> Schema:
    """Translate the kind of a value, and remove what it has used from `rest`."""
    if "$ref" in rest:
        return {"$ref": rest.pop("$ref")}
    for union in ("anyOf", "oneOf"):
        if union in rest:
            return {"anyOf": [translate_node(arm, dialect) for arm in rest.pop(union)]}
    kind = rest.pop("type", None)
    if isinstance(kind, list):
        arms = [translate_kind({**rest, "type": each}, dialect) for each in kind]
        rest.clear()
        return {"anyOf": arms}
    named: Schema = {} if kind is None else {"type": kind}
    for choice in ("const", "enum"):
        if choice in rest:
            return {**named, choice: rest.pop(choice)}
    if kind == "object":
        return named | translate_object(rest, dialect)
    if kind == "array":
        if rest.pop("prefixItems", None) or "items" not in rest:
            raise UntranslatableError
        named["items"] = translate_node(rest.pop("items"), dialect)
    if kind is None:
        raise UntranslatableError
    return named | {key: rest.pop(key) for key in list(rest) if known(key, rest[key], dialect)}


def translate_object(rest: Schema, dialect: Dialect) -> Schema:
    """Translate an object, which has only named properties."""
    if isinstance(rest.pop("additionalProperties", None), dict) or "properties" not in rest:
        raise UntranslatableError
    properties = {name: translate_node(each, dialect) for name, each in rest.pop("properties").items()}
    required = rest.pop("required", [])
    if dialect.all_required:
        required = list(properties)
    return {"properties": properties, "required": required, "additionalProperties": False}


def known(key: str, value: object, dialect: Dialect) -> bool:
    """Return whether the dialect supports that limit of a value."""
    if key == "format":
        return value in dialect.formats
    if key == "pattern" and "(?" in str(value):  # no provider supports lookaheads, which pydantic's Decimal has
        return False
    return key in dialect.keywords or (key == "minItems" and value in (0, 1))
