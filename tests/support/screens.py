"""The dashboard in a browser, as tests look at it."""

from playwright.async_api import BrowserContext, ConsoleMessage, Error, Page, expect

from tests.support.browsers import PASSWORD, person
from tests.support.callers import Tenant


class Troubles:
    """What a browser complains of: errors in scripts, breaches of the policy, files that are missing.

    An answer of the API that is a refusal is none, nor a socket that cannot be opened: Chromium writes those to the
    console, too.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []

    def watch(self, page: Page) -> None:
        """Look at that tab from now on."""
        page.on("console", self._told)
        page.on("pageerror", self._failed)

    def _told(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not self._is_refusal(message):
            self.seen.append(f"{message.text} ({message.location.get('url', '')})")

    def _is_refusal(self, message: ConsoleMessage) -> bool:
        where = message.location.get("url", "")
        of_the_api = message.text.startswith("Failed to load resource") and ("/api/" in where or "/debug/" in where)
        return of_the_api or message.text.startswith("WebSocket connection to")

    def _failed(self, error: Error) -> None:
        self.seen.append(str(error.stack or error))


async def signed_in(context: BrowserContext, tenant: Tenant, role: str = "owner") -> None:
    """Let the context have a session of the tenant's user of that role."""
    answer = await context.request.post("/api/session", data={"email": person(tenant, role), "password": PASSWORD})
    assert answer.status == 201, await answer.text()


def address(tenant: Tenant, *parts: str) -> str:
    """The path of one of the tenant's pages."""
    return "/".join(("/app/orgs", tenant.id, *parts))


LISTEN = """async () => {
  const { live } = await import(document.querySelector("script[type=module]").src.replace("main.js", "live.js"));
  window.heard = [];
  live.on("*", (event, data, seq) => window.heard.push([event, seq, data.jobId ?? null]));
}"""


async def listen(page: Page) -> None:
    """Write down in the page what its socket tells from now on, as `heard` reads it."""
    await expect(page.get_by_role("button", name="Live", exact=True)).to_be_visible()  # what came before is not told
    await page.evaluate(LISTEN)


async def heard(page: Page) -> list[tuple[str, int, str | None]]:
    """Events, their numbers and their jobs, in the order in which the page has heard of them."""
    return [(event, seq, job) for event, seq, job in await page.evaluate("window.heard")]


# One call that ends by itself: a condition that Playwright polls is compiled again for each look, which the page's
# policy forbids after the first.
HEAR = """async (count) => {
  while (window.heard.length < count) await new Promise((resume) => setTimeout(resume, 10));
}"""


async def until_heard(page: Page, count: int) -> None:
    """Wait until the page that listens has heard of so many events."""
    await page.evaluate(HEAR, arg=count)
