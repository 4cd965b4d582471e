"""The HTML report: charts, issues with their evidence, lineage, how each figure was made."""

from residency.report.evidence import Evidence
from residency.report.write import FILE_NAME, render, report

__all__ = ["FILE_NAME", "Evidence", "render", "report"]
