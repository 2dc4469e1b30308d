"""The rig behind `./scripts/chaos` is importable here, as its wrapper makes it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
