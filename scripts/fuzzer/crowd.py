"""Who is there to be attacked, and as whom: a tenant with something of everything, and every kind of credential."""

import base64
import json
import random
from typing import NamedTuple

from tests.support.browsers import browser, give_password
from tests.support.callers import Plane
from tests.support.marked import Marked, mark_all
from tests.support.server import Server

ROLES = ("viewer", "operator", "admin", "owner", "platform")


class Crowd(NamedTuple):
    """`ids` of this tenant and of another; `tokens` and `cookies` by whose they are."""

    own: Marked
    ids: dict[str, str]
    all_ids: list[str]
    tokens: dict[str, str]
    cookie: str
    csrf: str

    def credential(self, chance: random.Random, origin: str, *, of_agents: bool) -> list[str]:
        """Header lines: mostly one that opens the route."""
        fitting = ["agent"] if of_agents else ["owner", "admin", "platform"]
        whose = chance.choice(chance.choice((fitting, fitting, list(self.tokens))))
        held = f"Authorization: Bearer {self.tokens[whose]}"
        forged = f"Authorization: {_forged(chance, self.tokens)}"
        at_browser = [f"Cookie: {self.cookie}", f"X-CSRF-Token: {self.csrf}", f"Origin: {origin}"]
        (lines,) = chance.choices(([], at_browser, [forged], [held]), (8, 12, 8, 72))
        return lines


def _forged(chance: random.Random, tokens: dict[str, str]) -> str:
    head, body, signature = tokens["owner"].split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    return chance.choice(
        (
            "Bearer",
            "Basic dTpw",
            "Bearer x",
            f"Bearer {none}.{body}.",
            f"Bearer {head}.{body}.{signature[:-3]}xyz",
            f"Bearer {body}.{head}.{signature}",
            f"Bearer {'.' * 3000}",
            f"Bearer {tokens['agent']} {tokens['owner']}",
            "Bearer ticket-x",
        )
    )


async def gather(server: Server, plane: Plane, number: int) -> Crowd:
    """A fresh one, since the one before may have been deleted, revoked and signed out by now."""
    own = await mark_all(plane, f"mark{number}")
    other = plane.tenant().host()
    people = own.tenant.user_ids
    tokens = {role: plane.rows.token(people[role], own.tenant.id) for role in ROLES}
    tokens |= {"agent": own.host.token or "", "other": plane.tenant().as_role("owner").token or ""}
    tokens["other agent"] = other.token or ""
    async with browser(server.url) as page:
        session = await page.sign_in(give_password(plane.rows, people["owner"]))
        cookie = page.cookie
    ids = own.ids | {"file": "page.html", "page": "jobs", "version": "1"}
    return Crowd(own, ids, [*own.ids.values(), other.id, other.server_instance], tokens, cookie, session["csrfToken"])
