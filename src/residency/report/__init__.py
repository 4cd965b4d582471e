"""The HTML report: charts, issues with their evidence, lineage, how each figure was made."""
