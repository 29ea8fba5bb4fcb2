"""What user turns look like, and how close they come to people's: fingerprints, likeness, coverage, alignment."""

from workbench.measure.features import DIMENSIONS, FEATURES

__all__ = ["DIMENSIONS", "FEATURES"]
