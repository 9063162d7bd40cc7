"""What other systems talk to."""
