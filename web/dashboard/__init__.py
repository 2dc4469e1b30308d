"""The dashboard: a page that stays, its modules and styles, all our own. Data come over the API alone."""

from web.dashboard.handlers import page, static

__all__ = ["page", "static"]
