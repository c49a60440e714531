"""JSON schemas as all providers and models read them."""

from __future__ import annotations

from typing import Any

__all__ = ["inlined"]


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` with its definitions where they are referred to, if none is recursive.

    Ollama drops what it does not know of a tool's schema, references among it, and a small model does not look them up.
    """
    definitions = {f"#/$defs/{name}": definition for name, definition in schema.get("$defs", {}).items()}
    try:
        return {key: replaced(value, definitions, ()) for key, value in schema.items() if key != "$defs"}
    except RecursionError:
        return schema


def replaced(value: Any, definitions: dict[str, Any], inside: tuple[str, ...]) -> Any:  # noqa: ANN401 (JSON)
    """`value` with what its references refer to; raises RecursionError where one leads to what it is `inside`."""
    if isinstance(value, list):
        return [replaced(item, definitions, inside) for item in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    union = isinstance(value.get("oneOf"), list)  # whose discriminator refers to definitions as well
    own = {
        key: replaced(item, definitions, inside)
        for key, item in value.items()
        if not (union and key == "discriminator") and not (key == "$ref" and item == reference)
    }
    if reference is None:
        return own
    if reference in inside:
        raise RecursionError(reference)
    return {**replaced(definitions[reference], definitions, (*inside, reference)), **own}
