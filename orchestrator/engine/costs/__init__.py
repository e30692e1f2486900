"""From the devices' answers to the costs of rounds that the timeline walks."""
