"""The document as one page of HTML: no script, nothing from elsewhere, an anchor for every operation and schema."""

import base64
import hashlib
import json
import re
from html import escape
from typing import Any

from web.openapi.style import STYLE
from web.openapi.words import kind_of, limits_of

_METHODS = ("get", "post", "put", "patch", "delete", "options")


def policy() -> str:
    """What a browser may load for the page: its own style, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def render(document: dict[str, Any]) -> str:
    """The whole page."""
    operations = _by_tag(document)
    tags = "".join(_tag(document, tag, found) for tag, found in operations.items())
    title = escape(document["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: the API</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head><body>'
        f"{_contents(operations)}<main><h1>{title}: the API</h1>{prose(document['info']['description'])}"
        f'<p>For programs: <a href="openapi.json">openapi.json</a></p>'
        f"{_security(document)}{tags}{_sockets(document)}{_schemas(document)}</main></body></html>\n"
    )


def _by_tag(document: dict[str, Any]) -> dict[str, list[tuple[str, str, Any]]]:
    """Method, path and operation of each."""
    found: dict[str, list[tuple[str, str, Any]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                operation = item[method]
                parameters = [*item["parameters"], *operation["parameters"]]
                found[operation["tags"][0]].append((method.upper(), path, operation | {"parameters": parameters}))
    return found


def _contents(operations: dict[str, list[tuple[str, str, Any]]]) -> str:
    parts = []
    for tag, found in operations.items():
        links = "".join(
            f'<li><a href="#{each["operationId"]}">{escape(each["summary"])}</a></li>' for _, _, each in found
        )
        parts.append(f'<h2><a href="#{_anchor(tag)}">{escape(tag)}</a></h2><ul>{links}</ul>')
    others = {"security": "Credentials", "frames": "Frames and events", "schemas": "Schemas"}
    rest = "".join(f'<li><a href="#{anchor}">{text}</a></li>' for anchor, text in others.items())
    return f'<nav aria-label="Contents"><ul>{rest}</ul>{"".join(parts)}</nav>'


def _security(document: dict[str, Any]) -> str:
    schemes = document["components"]["securitySchemes"].items()
    rows = [(f"<code>{escape(name)}</code>", prose(scheme.get("description", ""))) for name, scheme in schemes]
    return f'<h2 id="security">Credentials</h2>{_table(("Name", "What it is"), rows)}'


def _tag(document: dict[str, Any], tag: str, operations: list[tuple[str, str, Any]]) -> str:
    parts = "".join(_operation(document, *each) for each in operations)
    return f'<h2 id="{_anchor(tag)}">{escape(tag)}</h2>{parts}'


def _operation(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    name = operation["operationId"]
    parameters = [each for each in operation["parameters"] if "$ref" not in each]
    rows = [
        (
            f"<code>{escape(each['name'])}</code>",
            f"{escape(each['in'])}{', required' if each.get('required') and each['in'] != 'path' else ''}",
            _type(each["schema"]),
            prose(each["description"]),
        )
        for each in parameters
    ]
    table = f"<h4>Parameters</h4>{_table(('Name', 'In', 'Type', 'Meaning'), rows)}" if rows else ""
    return (
        f'<section><h3 id="{name}"><a href="#{name}">{escape(operation["summary"])}</a></h3>'
        f'<code class="route"><span class="method">{method}</span>{escape(path)}</code>'
        f"{prose(operation['description'])}{table}{_body(operation)}{_responses(document, operation)}</section>"
    )


def _body(operation: dict[str, Any]) -> str:
    body = operation.get("requestBody")
    if body is None:
        return ""
    (media, content), *_ = body["content"].items()
    shape = f", {_type(content['schema'])}" if "schema" in content else ""
    wanted = "" if body["required"] else ", may be absent"
    return f"<h4>Body</h4><p><code>{escape(media)}</code>{shape}{wanted}. {escape(body['description'])}</p>{_example(content)}"


def _responses(document: dict[str, Any], operation: dict[str, Any]) -> str:
    rows, examples = [], ""
    for status, response in operation["responses"].items():
        refused = "$ref" in response
        told = document["components"]["responses"][response["$ref"].rpartition("/")[2]] if refused else response
        content: dict[str, Any] = {} if refused else next(iter(told.get("content", {}).values()), {})
        shape = f" {_type(content['schema'])}" if "schema" in content else ""
        kind = "bad" if refused else "good"
        rows.append((f'<span class="{kind}">{status}</span>', f"{prose(told['description'])}{shape}"))
        examples = examples or _example(content)
    return f"<h4>Answers</h4>{_table(('Status', 'Meaning'), rows)}{examples}"


def _sockets(document: dict[str, Any]) -> str:
    parts = []
    for path, socket in document["x-sockets"].items():
        envelope, auth = _type(socket["envelope"]), _type(socket["auth"])
        parts.append(
            f"<h3>{'Frames of agents' if path == '/agent' else 'Events for dashboards'}: <code>{escape(path)}</code></h3>"
            f"{prose(socket['description'])}<p>Envelope {envelope}, data of <code>auth</code> {auth}.</p>"
        )
        if "exchanges" in socket:
            rows = [
                (
                    f"<code>{escape(each['event'])}</code>",
                    _type(each["data"]),
                    f"<code>{escape(each['answer']['event'])}</code>",
                    _type(each["answer"]["data"]),
                )
                for each in socket["exchanges"]
            ]
            parts.append(f"<h4>What agents send</h4>{_table(('Event', 'Data', 'Answer', 'Its data'), rows)}")
        rows3 = [
            (f"<code>{escape(each['event'])}</code>", _type(each["data"]), prose(each["description"]))
            for each in socket["pushes"]
        ]
        parts.append(f"<h4>What the server sends</h4>{_table(('Event', 'Data', 'When'), rows3)}")
    return f'<h2 id="frames">Frames and events</h2>{"".join(parts)}'


def _schemas(document: dict[str, Any]) -> str:
    schemas = document["components"]["schemas"].items()
    return f'<h2 id="schemas">Schemas</h2>{"".join(_schema(name, schema) for name, schema in schemas)}'


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        (
            f"<code>{escape(field)}</code>",
            _type(found),
            "" if field in required else "may be absent",
        )
        for field, found in schema.get("properties", {}).items()
    ]
    anchor = f"schema-{escape(name)}"
    table = _table(("Field", "Type", "Note"), rows) if rows else ""
    return (
        f'<section><h3 id="{anchor}"><a href="#{anchor}">{escape(name)}</a></h3>'
        f"{prose(schema.get('description', ''))}{table}</section>"
    )


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words, with links to those that it names."""
    said = re.sub(r"\[\[([\w.-]+)\]\]", r'<a href="#schema-\1">\1</a>', escape(kind_of(schema)))
    bounds = limits_of(schema)
    return f'{said} <span class="faint">{escape(bounds)}</span>' if bounds else said


def _example(content: dict[str, Any]) -> str:
    if "example" not in content:
        return ""
    text = escape(json.dumps(content["example"], indent=2, ensure_ascii=False), quote=False)
    return f"<details><summary>Example</summary><pre>{text}</pre></details>"


def _table(heads: tuple[str, ...], rows: list[Any]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def prose(text: str) -> str:
    """Paragraphs, `code` and *emphasis*, as the descriptions have them."""
    said = escape(text, quote=False)
    said = re.sub(r"`([^`]+)`", r"<code>\1</code>", said)
    said = re.sub(r"(?<![*\w])\*([^*<>]+)\*(?![*\w])", r"<em>\1</em>", said)
    return "".join(f"<p>{part}</p>" for part in re.split(r"\n\s*\n", said) if part.strip())


def _anchor(tag: str) -> str:
    return "tag-" + re.sub(r"\W+", "-", tag.lower())
