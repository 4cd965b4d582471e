"""Test suites: rules that check answers, and the scores that they add up to."""
