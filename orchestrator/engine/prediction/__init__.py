"""What a plan would take: estimates of the devices, learned models, the oracle."""
