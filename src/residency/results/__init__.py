"""One typed read-out of a run, used alike by terminal, report, pages and ``trace``."""
