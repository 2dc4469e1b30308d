"""The judge: a history and the final rows in, violations out. It knows nothing of how either came about."""

from chaos_rig.checker.check import CHECKS, check
from chaos_rig.checker.ledger import Ledger, Promises, Violation

__all__ = ["CHECKS", "Ledger", "Promises", "Violation", "check"]
