"""The lab as people use it, and what its documents promise."""
