"""Deterministic simulation: the shipping actors, journal and SQL on a virtual loop, with a world that misbehaves."""
