"""What a project stores: one SQLite file (or a PostgreSQL) and artifacts named by content. All SQL is here."""
