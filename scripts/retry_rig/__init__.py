"""Retries on time: a server on a Redis that is killed, emptied, starved or hung, or that is killed itself."""
