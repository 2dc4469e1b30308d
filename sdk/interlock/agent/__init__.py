"""The reference agent: takes one job at a time for its host, runs it and reports, whatever dies in between."""

from interlock.agent.agent import Agent
from interlock.agent.command import CommandHandler, command_handlers
from interlock.agent.config import AgentConfig, CommandSpec, load_config
from interlock.agent.errors import AgentError, ConfigInvalid, StateInUse, StateUnusable
from interlock.agent.functions import BlockingContext
from interlock.agent.handlers import Cancelled, Context, Handler, HandlerFunction, Job, Outcome, Stop, StopReason
from interlock.agent.settings import AgentSettings

__all__ = [
    "Agent",
    "AgentConfig",
    "AgentError",
    "AgentSettings",
    "BlockingContext",
    "Cancelled",
    "CommandHandler",
    "CommandSpec",
    "ConfigInvalid",
    "Context",
    "Handler",
    "HandlerFunction",
    "Job",
    "Outcome",
    "StateInUse",
    "StateUnusable",
    "Stop",
    "StopReason",
    "command_handlers",
    "load_config",
]
