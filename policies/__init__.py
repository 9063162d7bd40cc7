"""What the operator is willing to do."""
