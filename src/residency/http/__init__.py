"""The one OpenAI-compatible client."""
