"""DIMM-PIM modules: DRAM ranks whose banks multiply, and that attend for the decoding requests."""
