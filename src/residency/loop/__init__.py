"""The story of a run: respond, assess, fine-tune, judge, select rows, sealed test."""
