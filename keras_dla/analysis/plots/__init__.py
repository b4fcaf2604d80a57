"""Pictures of what models read, see and predict."""
