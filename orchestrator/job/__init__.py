"""What was asked, checked against the machine: a submitted job is resolved, or refused by name."""
