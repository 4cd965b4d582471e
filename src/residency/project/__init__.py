"""A project's folder, opened: settings, corpus, base, models by name."""
