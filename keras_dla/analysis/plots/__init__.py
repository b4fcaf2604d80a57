"""Drawings of what models read, see and predict."""
