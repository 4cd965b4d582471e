"""Issue → proposals: rows that should mend it, and the firewall before dev and test."""

from residency.target.ask import Taught, ask_teacher, correction, preference_pairs
from residency.target.firewall import FirewallResult, Rejection, firewall
from residency.target.gradient import influence, project, propose_by_gradient
from residency.target.select import control, propose

__all__ = [
    "FirewallResult",
    "Rejection",
    "Taught",
    "ask_teacher",
    "control",
    "correction",
    "firewall",
    "influence",
    "preference_pairs",
    "project",
    "propose",
    "propose_by_gradient",
]
