"""What attention devices share: modules on their channels, and sums over the head groups of a rank."""
