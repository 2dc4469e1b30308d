"""The `interlock` command. Sub-commands are loaded when they are named, so that start-up stays quick."""

from interlock.cli.root import main

__all__ = ["main"]
