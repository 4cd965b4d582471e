"""Logs of other evaluation programs: lm-eval, inspect, promptfoo, as two sides of a comparison."""
