"""Durable truth: intents, decisions, conditions."""
