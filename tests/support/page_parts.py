"""Parts of the dashboard's pages that tests of several pages look for."""

from playwright.async_api import Locator, Page


async def choose(page: Page, button: str) -> None:
    """Press that button of the dialog."""
    await page.get_by_role("dialog").get_by_role("button", name=button, exact=True).click()


def row(page: Page, words: str) -> Locator:
    """The row of a table with these words."""
    return page.get_by_role("row").filter(has_text=words)
