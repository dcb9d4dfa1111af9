"""Load on the platform: what is sent, when, and what the clients made of the answers."""
