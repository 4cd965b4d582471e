"""Should one fine-tune at all? Prompting and retrieval on the same items."""
