"""From declarations to switch state, and the loop that keeps the network equal to it."""
