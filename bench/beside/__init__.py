"""What stands beside the driver in its benchmark; each runs in a process of its own."""
