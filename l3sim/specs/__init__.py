"""Model, machine and workload: dataclasses, loaders and validation, in one place."""
