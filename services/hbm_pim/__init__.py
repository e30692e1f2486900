"""Device kind `hbm-pim`: HBM stacks with processing units."""
