"""How a machine computes the steps of a recipe: what is left to it, it is asked."""
