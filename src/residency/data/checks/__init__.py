"""The data doctor: what is in the rows, and what is wrong with them."""
