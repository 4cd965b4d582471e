"""Which of two answers is better: votes, Bradley–Terry ratings, blind review."""
