"""Tools for people who work on the project; `python -m scripts.NAME`."""
