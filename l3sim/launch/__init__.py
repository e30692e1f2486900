"""The composition root: the only package that may import all of ours, and that nothing imports."""
