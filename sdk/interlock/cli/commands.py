"""The names of `interlock`'s commands with one line each, so that help and completion import none of them."""

from typing import NamedTuple


class Ours(NamedTuple):
    """A command of this distribution: the module whose `command` it is, and its line in the help."""

    module: str
    help: str


OURS: dict[str, Ours] = {
    "jobs": Ours("interlock.cli.jobs", "Create jobs and see what becomes of them."),
    "hosts": Ours("interlock.cli.hosts", "See hosts and their lines; pause, drain and enrol them."),
    "instances": Ours("interlock.cli.instances", "Server instances: what lives on a host and jobs are about."),
    "types": Ours("interlock.cli.types", "Job types: what payloads look like, how runs are tried again."),
    "keys": Ours("interlock.cli.keys", "Agent keys of a host: list, create and revoke them."),
    "audit": Ours("interlock.cli.audit", "Who did what, newest first."),
    "open": Ours("interlock.cli.open_page", "Open a page of the dashboard in the browser."),
    "login": Ours("interlock.cli.login", "Sign in to a server and remember it."),
    "logout": Ours("interlock.cli.logout", "Sign out, and forget what login has stored."),
    "agent": Ours("interlock.cli.agent", "Take jobs for this host and run them, one at a time."),
    "completion": Ours("interlock.cli.completion", "Print the completion script of a shell."),
}

# What the server's package adds. Their lines stand here too: to import them takes ten times as long as to print them.
ADDED: dict[str, str] = {
    "dev": "Run a server and demo agents here, to try things out.",
    "serve": "Run the server.",
    "admin": "Make organizations, people, hosts and tokens.",
    "doctor": "Check all that the server needs and say what to do.",
}

SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Work and fleet", ("jobs", "hosts", "instances", "types", "keys", "audit", "open")),
    ("On a host", ("agent",)),
    ("Server", ("dev", "serve", "admin", "doctor")),
    ("This terminal", ("login", "logout", "completion")),
)
