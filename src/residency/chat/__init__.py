"""The only code where messages become text, ids and loss mask."""
