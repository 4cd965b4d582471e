"""The only place where messages become text, ids and loss mask."""
