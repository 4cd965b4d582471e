"""What text is made of: words, n-grams, the fields of a structured answer."""
