"""The default detectors: one module a kind of error."""
