"""The wire's structs as JSON Schema 2020-12, which is what OpenAPI 3.1 speaks."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from web.openapi.bounds import TOGETHER, bounds, by_name
from web.openapi.description import Schema, Shape
from web.services import WebLimits

REF = "#/components/schemas/"
_OF_SOCKETS = "interlock.frames."


def components(shapes: Iterable[Shape], limits: WebLimits) -> dict[str, Schema]:
    """The schemas of these structs and of all that they contain, by name."""
    _, found = msgspec.json.schema_components(set(shapes), ref_template=REF + "{name}")
    names = {name: _short(name) for name in found}
    schemas = {names[name]: _renamed(schema, names) for name, schema in found.items()}
    for (component, field), extra in bounds(limits).items():
        if component in schemas:
            fields, only = schemas[component]["properties"], "array" if "items" in extra else None
            fields[field] = tightened(fields[field], extra, only)
    for name, schema in schemas.items():
        _finish(name, schema)
        schema.update(TOGETHER.get(name, {}))
    return dict(sorted(schemas.items()))


def name_of(shape: Shape, schemas: Mapping[str, Schema]) -> str:
    """Under which name a struct stands among the schemas."""
    of_socket = _short(f"{shape.__module__}.{shape.__name__}")
    return of_socket if shape.__module__ + "." == _OF_SOCKETS and of_socket in schemas else shape.__name__


def _short(name: str) -> str:
    """Structs of one name in two modules: those of sockets say so."""
    return f"Socket{name.removeprefix(_OF_SOCKETS)}" if name.startswith(_OF_SOCKETS) else name.rpartition(".")[2]


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: REF + names[item.removeprefix(REF)] if key == "$ref" else _renamed(item, names)
            for key, item in value.items()
        }
    return [_renamed(item, names) for item in value] if isinstance(value, list) else value


def _finish(name: str, schema: Schema) -> None:
    """Descriptions without their indentation, and what the names of fields say."""
    schema["title"] = name
    if "description" in schema:
        schema["description"] = inspect.cleandoc(schema["description"])
    properties = schema.get("properties", {})
    for field, found in properties.items():
        extra = by_name(name, field)
        if extra and "enum" not in found:
            properties[field] = tightened(found, extra, only="string")


def tightened(schema: Schema, extra: Schema, only: str | None = None) -> Schema:
    """The schema with what else holds; for one that may be null, where it is not. `only`: of that type."""
    if "anyOf" in schema:
        branches = [each if each.get("type") == "null" else tightened(each, extra, only) for each in schema["anyOf"]]
        return schema | {"anyOf": branches}
    if only is not None and schema.get("type") != only:
        return schema
    if "enum" in extra:
        schema = {key: value for key, value in schema.items() if key != "type"}
    return schema | extra
