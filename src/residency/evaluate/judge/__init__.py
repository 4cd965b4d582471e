"""A model as judge, and how far to trust it."""
