"""One decision: the policy is queried, its plan recorded, and alternatives are judged."""
