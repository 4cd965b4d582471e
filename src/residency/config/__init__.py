"""``residency.toml`` ↔ typed settings, a file a table."""
