"""Raw text → a base model: documents, token files, a fresh model's first weights."""
