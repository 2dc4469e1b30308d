"""The page on which the first account is made: text of our own, without anything from elsewhere."""

from web.set_up_page.markup import PAGE
from web.set_up_page.script import SCRIPT
from web.set_up_page.style import STYLE

__all__ = ["PAGE", "SCRIPT", "STYLE"]
