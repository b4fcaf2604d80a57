"""The paper's recipe: SGD, schedules, metrics."""
