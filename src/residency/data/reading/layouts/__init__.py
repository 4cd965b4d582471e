"""Row layouts: which fields a row has, and how it becomes a conversation. One file each."""
