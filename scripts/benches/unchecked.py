"""The switch of `bench guards`: a server that believes whatever it is sent. Nothing of it is in the product.

python -m benches.unchecked serve [options…]

Each credential is read once and believed from then on, at every path; no role, no rate and no door is looked at. Bodies are
decoded and not inspected, and payloads are not held to their types. Refusals stay: without them agents would not come again.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import patch

import msgspec
from aiohttp import web

from interlock.cli.root import main
from web import access, new_jobs, parsing

_real: dict[str, Callable[..., Awaitable[Any]]] = {"member": access.member, "agent": access.agent}
_known: dict[tuple[str, str], Any] = {}


def _believed(name: str) -> Callable[..., Awaitable[Any]]:
    real = _real[name]

    async def guard(request: web.Request, *rest: Any) -> Any:
        who = name, request.headers["Authorization"]
        found = _known.get(who)
        if found is None:
            found = _known[who] = await real(request, *rest)
        return found

    return guard


async def _open(_services: Any) -> None:
    """Whoever comes."""


async def _body(request: web.Request, _max_bytes: int) -> bytes:
    return await request.read()


def _decoded(body: bytes, decoder: "msgspec.json.Decoder[Any]", _max_depth: int) -> Any:
    return decoder.decode(body)


def no_checks() -> None:
    """To be called before the application is made."""
    for name in _real:
        patch.object(access, name, _believed(name)).start()
    patch.object(access, "open_door", _open).start()
    patch.object(new_jobs, "check_payload", lambda *_: 0).start()
    patch.object(new_jobs, "hidden_by", lambda _: None).start()
    real = {"decode": (parsing.decode, _decoded), "read_json": (parsing.read_json, _body)}
    for module in [each for name, each in sys.modules.items() if name.startswith("web.")]:
        for name, (checked, believed) in real.items():
            if getattr(module, name, None) is checked:
                patch.object(module, name, believed).start()


if __name__ == "__main__":
    import runtime.cli  # noqa: F401 - so that all modules of `web` are there to be patched

    no_checks()
    main()
