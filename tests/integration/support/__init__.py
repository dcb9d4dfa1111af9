"""What the integration suite is made of."""
