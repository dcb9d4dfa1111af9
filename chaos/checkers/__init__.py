"""Pure judges: from a history to findings. No lab, no sockets, no clock, no chance."""
