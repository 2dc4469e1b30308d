"""`./scripts/bench`: figures, each beside a yardstick measured in the same run."""
