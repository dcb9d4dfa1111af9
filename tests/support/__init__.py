"""What the tests stand on: a tiny platform, and histories written by hand."""
