"""Which rows stay, and a cleaned copy."""
