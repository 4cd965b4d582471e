"""How pool rows are chosen for issues, one way a file."""
