"""Issue → proposals: rows that should mend it, and the firewall before dev and test."""

from residency.target.firewall import FirewallResult, Rejection, firewall
from residency.target.select import control, propose

__all__ = ["FirewallResult", "Rejection", "control", "firewall", "propose"]
