"""The contract in Python, generated from `proto/` by scripts/gen_protos.py; never edited."""
