"""The room that joins the rooms: it passes nouns on and saves between them."""

from residency.rounds.new_project import Initialised, init
from residency.rounds.project import Project
from residency.rounds.summary import IssueRow, RoundRow, RunSummary, status

__all__ = ["Initialised", "IssueRow", "Project", "RoundRow", "RunSummary", "init", "status"]
