"""Training on several devices by each backend's own engine."""
