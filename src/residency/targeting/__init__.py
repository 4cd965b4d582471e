"""Issue → proposals: rows that should mend it."""
