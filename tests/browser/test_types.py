"""The dashboard's modules as TypeScript reads them: their JSDoc types are true, or `tsc` says where they are not.

TypeScript comes from npm into a folder of `.venv`, as axe-core does; where it cannot be had, this is skipped, and said to be.
"""

import asyncio
import json
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

from tests.support.node import node_or_skip

CONFIG = Path(__file__).parents[2] / "web/dashboard/tsconfig.json"


async def tsc(config: Path) -> tuple[int | None, str]:
    """The exit code, and what it has found."""
    node, folder = node_or_skip()
    command = [
        node,
        str(folder / "node_modules/typescript/bin/tsc"),
        "--noEmit",
        "--pretty",
        "false",
        "-p",
        str(config),
    ]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_the_types_of_the_dashboards_modules_are_true() -> None:
    assert await tsc(CONFIG) == (0, "")


async def test_all_modules_are_looked_at_and_strictly(tmp_path: Path) -> None:
    """Else the test above would prove nothing: a module beside them that errs is found."""
    (tmp_path / "mistaken.js").write_text(
        "/** @param {string | null} text */\nexport const long = (text) => text.length;\n"
    )
    options = json.loads(CONFIG.read_text())
    assert options["include"] == ["static/**/*.js", "types.d.ts"]
    assert options["compilerOptions"]["strict"]
    (tmp_path / "tsconfig.json").write_text(json.dumps(options | {"include": ["*.js"]}))
    code, said = await tsc(tmp_path / "tsconfig.json")
    assert code == 2
    assert "'text' is possibly 'null'" in said
