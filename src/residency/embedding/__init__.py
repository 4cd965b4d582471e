"""Texts → vectors, offline by default."""
