"""Helpers that every room uses and that import none of them."""
