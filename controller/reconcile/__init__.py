"""The level-triggered loop, by intent name."""
