"""What is too close: near-duplicates, and the one rule that keeps dev and test apart from training."""
