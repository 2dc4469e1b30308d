"""The comments that stand behind assignments in a class, which are what its fields mean."""

import ast
import inspect
import tokenize
from io import StringIO
from textwrap import dedent
from typing import NamedTuple


class Field(NamedTuple):
    """One assignment of a class body."""

    name: str
    comment: str
    group: int  # rises at each empty line


def fields_of(cls: type) -> list[Field]:
    """The assignments of the class in their order; ValueError for one without a comment."""
    source = dedent(inspect.getsource(cls))
    lines = source.splitlines()
    comments = {
        token.start[0]: token.string.removeprefix("#").strip()
        for token in tokenize.generate_tokens(StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (tree,) = ast.parse(source).body
    found: list[Field] = []
    group, last = 0, 0
    for node in tree.body if isinstance(tree, ast.ClassDef) else []:
        name = _assigned(node)
        if name is None:
            continue
        if any(not line.strip() for line in lines[last : node.lineno - 1]):
            group += 1
        last = node.end_lineno or node.lineno
        if last not in comments:
            raise ValueError(f"{cls.__name__}.{name} has no comment that says what it means")
        found.append(Field(name, comments[last], group))
    return found


def _assigned(node: ast.stmt) -> str | None:
    target = (
        node.target if isinstance(node, ast.AnnAssign) else node.targets[0] if isinstance(node, ast.Assign) else None
    )
    return target.id if isinstance(target, ast.Name) else None
