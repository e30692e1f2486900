"""The devices of the virtual machine, a folder each; none of them knows of another."""
