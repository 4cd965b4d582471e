"""The tickets example: its generator, and the files that the generator wrote."""
