"""What other systems talk to. Importing this package imports no web framework; `carelane.api.rest` does."""
