"""What the emulated hospitals send: models as data, and the programs that send, receive and keep every sample."""
