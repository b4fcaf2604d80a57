"""The paper's tables and published numbers."""
