"""`interlock logout`."""

from interlock.cli.login import logout as command

__all__ = ["command"]
