"""Training: rows in, an adapter or full weights out; one engine and one loop for every objective."""
