"""Exact tests, intervals, and how several samples become one outcome."""
