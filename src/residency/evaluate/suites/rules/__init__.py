"""What a suite may ask of an answer: one rule a file."""
