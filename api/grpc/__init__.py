"""The gRPC face: intents, their steps and their compliance, for other systems. `proto/` holds the definitions."""
