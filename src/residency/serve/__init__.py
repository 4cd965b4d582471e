"""Stored models behind an OpenAI-compatible server."""
