"""A network, a data set, a recipe, a seed and a backend in one folder."""
