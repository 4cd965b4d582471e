"""A model leaves the house in its final form, proved on the file itself."""
