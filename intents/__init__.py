"""What a service needs."""
