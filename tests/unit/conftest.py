"""The packages behind `scripts/` are tested here too: make them importable, as their wrappers do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
