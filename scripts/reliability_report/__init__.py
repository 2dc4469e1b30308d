"""`./scripts/reliability`: one page of all figures, from results that were written by the scripts that took them."""
