"""States of a training run that can be stopped at any step."""
