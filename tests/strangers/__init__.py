"""Packages of strangers: what tests install beside `l3sim`, and nothing of ours imports."""
