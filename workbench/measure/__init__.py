"""What user turns look like, and how close they come to people's: fingerprints, likeness, coverage, alignment."""

from __future__ import annotations

__all__ = ["DIMENSIONS", "FEATURES"]

DIMENSIONS: dict[str, tuple[str, ...]] = {
    "D1": ("words_per_turn", "short_utterance_rate", "politeness_rate", "formality_rate", "acknowledgment_rate", "verbosity_cv",
           "repetition_rate", "identity_confusion_rate"),
    "D2": ("front_loading_ratio", "identifiers_per_turn", "opening_length"),
    "D3": ("uncertainty_rate", "certainty_rate", "pushback_rate", "clarification_question_rate", "info_seeking_rate"),
    "D4": ("emotional_expression_rate", "accusatory_rate", "strategy_pivot_rate"),
}  # fmt: skip
"""Features of communication style, information disclosure, clarification behavior and error reaction."""

FEATURES: tuple[str, ...] = tuple(feature for features in DIMENSIONS.values() for feature in features)
"""The 19 features of a fingerprint, D1 to D4, in the order of its columns."""
