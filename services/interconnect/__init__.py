"""The host interconnect: PCIe of each GPU and the memory channels, rankset by rankset."""
