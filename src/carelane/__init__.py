"""carelane: the control plane of a dedicated health network."""

__all__ = ["__version__"]

__version__ = "0.1.0"
