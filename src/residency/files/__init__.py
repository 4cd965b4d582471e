"""Files as they lie on disk: opened whatever their compression, read as records, written whole."""
