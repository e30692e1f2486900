"""How fast the virtual machine simulates. Documented in docs/benchmarks.md; nothing here is a test."""
