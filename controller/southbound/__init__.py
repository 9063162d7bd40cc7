"""What carelane needs from switches, and the adapters that provide it."""
