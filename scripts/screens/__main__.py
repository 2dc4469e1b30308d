"""`./scripts/screenshots`: one PNG per page, theme and width."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
import click
from demo_fleet.control_plane import INTERLOCK, control_plane, free_ports
from playwright.async_api import Browser, BrowserContext, async_playwright

from engines.chromium import LEAN, chromium
from engines.processes import EngineMissing
from screens.fleet import Owner, alive, make_machines

WIDTHS = (375, 1280, 2560)
HEIGHTS = {375: 812, 1280: 800, 2560: 1440}
THEMES = ("light", "dark")
PASSWORD = "a fleet in the picture"  # noqa: S105 - of an account that lives for a minute
EMAIL = "ann@example.com"
SETTLES = 700  # ms that a page is left alone before it is taken


async def take(folder: Path, pages: list[str], seconds: float, widths: list[int], seed: int) -> None:
    """Start everything, let it live for a while, and take the pictures."""
    try:
        program = chromium()
    except EngineMissing as missing:
        raise click.ClickException(str(missing)) from missing

    with tempfile.TemporaryDirectory(prefix="interlock-screens-") as data:
        async with control_plane(Path(data), free_ports(1)[0]) as plane, aiohttp.ClientSession() as session:
            owner = await _owner(plane.url, Path(data), session)
            machines = await make_machines(owner)
            async with alive(owner, machines, seed), async_playwright() as playwright:
                await asyncio.sleep(seconds)
                browser = await playwright.chromium.launch(executable_path=program, args=LEAN)
                shown = await _pages(owner, pages)
                for theme in THEMES:
                    for width in widths:
                        await _shots(browser, owner, shown, theme, width, folder)
                await browser.close()


async def _owner(url: str, data: Path, session: aiohttp.ClientSession) -> Owner:
    command = ["setup", "--email", EMAIL, "--name", "Ann", "--org", "Arcade", "--data-dir", str(data)]
    process = await asyncio.create_subprocess_exec(
        INTERLOCK, "admin", *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    await process.communicate(f"{PASSWORD}\n".encode())
    async with session.post(f"{url}/api/session", json={"email": EMAIL, "password": PASSWORD}) as answer:
        org = (await answer.json())["orgs"][0]["id"]
    asking = await asyncio.create_subprocess_exec(
        *(INTERLOCK, "admin", "token", "--raw", "--email", EMAIL, "--org", org, "--data-dir", str(data)),
        stdout=asyncio.subprocess.PIPE,
    )
    token = (await asking.communicate())[0].decode().strip()
    return Owner(url, org, session, token)


async def _pages(owner: Owner, wanted: list[str]) -> dict[str, str]:
    """Names of pictures, and the addresses of what they show."""
    home = f"/app/orgs/{owner.org_id}"
    job = await _one(owner, "/jobs?status=RUNNING&limit=1")
    host = (await owner.ask("GET", "/hosts?limit=100"))["items"][-1]
    known = {
        "sign-in": "/app/sign-in",
        "overview": f"{home}/overview",
        "jobs": f"{home}/jobs",
        "job": f"{home}/jobs/{job['id']}",
        "new-job": f"{home}/jobs/new",
        "hosts": f"{home}/hosts",
        "host": f"{home}/hosts/{host['id']}",
        "actors": "/app/actors",
    }
    return {name: known[name] for name in wanted or known}


async def _one(owner: Owner, path: str) -> Any:
    found = (await owner.ask("GET", path))["items"] or (await owner.ask("GET", "/jobs?limit=1"))["items"]
    return found[0]


async def _shots(browser: Browser, owner: Owner, pages: dict[str, str], theme: str, width: int, folder: Path) -> None:
    context = await browser.new_context(
        base_url=owner.url,
        viewport={"width": width, "height": HEIGHTS.get(width, 900)},
        color_scheme="dark" if theme == "dark" else "light",
    )
    await context.request.post("/api/session", data={"email": EMAIL, "password": PASSWORD})
    for name, path in pages.items():
        await _shot(context, path, folder / f"{name}-{theme}-{width}.png", stranger=name == "sign-in")
    await context.close()


async def _shot(context: BrowserContext, path: str, file: Path, *, stranger: bool) -> None:
    if stranger:
        kept = await context.cookies()
        await context.clear_cookies()
    page = await context.new_page()
    await page.goto(path)
    await page.locator("main:not([aria-busy]) > *").first.wait_for()
    await page.wait_for_timeout(SETTLES)
    await page.screenshot(path=file)
    await page.close()
    if stranger:
        await context.add_cookies(kept)  # type: ignore[arg-type] # what it gave, it takes
    sys.stdout.write(f"{file}\n")


@click.command()
@click.argument("pages", nargs=-1)
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), default=Path("screenshots"), help="The folder of the PNGs."
)
@click.option("--seconds", default=25.0, help="How long the fleet lives before the first picture.")
@click.option("--width", "widths", multiple=True, type=int, default=WIDTHS, help="Pixels; may be given several times.")
@click.option("--seed", default=7, help="The same seed gives much the same fleet.")
def main(pages: tuple[str, ...], folder: Path, seconds: float, widths: tuple[int, ...], seed: int) -> None:
    """Take pictures of PAGES, or of all: sign-in overview jobs job new-job hosts host actors."""
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(folder, list(pages), seconds, list(widths), seed))


main()
