"""Hostile requests and frames against a real server, made from its own description."""
