"""The text of a systemd unit for an agent: what it may do, where it may write, how it is ended."""

from pathlib import Path
from typing import NamedTuple

from interlock.agent.settings import AgentSettings

STOP_MARGIN_SECONDS = 5.0  # on top of all that the agent may take to end by itself

_SANDBOX = """\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
CapabilityBoundingSet=
UMask=0077
"""


class Plan(NamedTuple):
    """What a unit is made of. Paths are absolute; `run_as` is None for a unit of the user's own service manager."""

    name: str
    program: Path
    url: str
    config: Path
    key_file: Path
    settings: AgentSettings
    run_as: str | None
    writable: tuple[Path, ...] = ()


def unit_text(plan: Plan) -> str:
    """The whole unit file."""
    words = [str(plan.program), "agent", "--url", plan.url, "--config", str(plan.config)]
    start = " ".join(_argument(word) for word in words) + f" --state-dir %S/{plan.name}"
    own = plan.run_as is None
    lines = [
        "[Unit]",
        f"Description=Interlock agent {plan.name}",
        *([] if own else ["Wants=network-online.target", "After=network-online.target"]),
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={start}",
        f"EnvironmentFile={_value(plan.key_file)}",
        *([] if own else [f"User={plan.run_as}"]),
        f"StateDirectory={plan.name}",
        "StateDirectoryMode=0700",
        "Restart=always",
        "RestartSec=5",
        "RestartPreventExitStatus=2 8",
        "KillMode=mixed",
        f"TimeoutStopSec={stop_seconds(plan.settings):g}",
        # The rest needs powers that a user's own service manager does not have.
        *(["NoNewPrivileges=yes", "UMask=0077"] if own else _SANDBOX.splitlines()),
        *[f"ReadWritePaths={_argument(str(path))}" for path in plan.writable],
        "",
        "[Install]",
        f"WantedBy={'default' if own else 'multi-user'}.target",
    ]
    return "\n".join(lines) + "\n"


def key_text(key: str) -> str:
    """The environment file that holds the key, and nothing else."""
    return f"INTERLOCK_AGENT_KEY={key}\n"


def stop_seconds(settings: AgentSettings) -> float:
    """The longest that an agent takes to end once it is asked to, and a little more."""
    return settings.drain_seconds + settings.grace_seconds + settings.exit_report_seconds + STOP_MARGIN_SECONDS


def _argument(text: str) -> str:
    """A word of a command line, in quotes, so that systemd finds in it neither specifiers nor variables."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _value(path: Path) -> str:
    """A path as the whole value of a setting."""
    return str(path).replace("%", "%%")
