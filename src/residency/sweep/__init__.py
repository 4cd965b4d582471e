"""How much model and how much data: planned trainings, learning curves, size against quality."""
