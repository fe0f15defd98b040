"""The figures of the card as a table that can be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emoclf.models.packaged.card import ModelCard

_SHARES = {
    "accuracy": "accuracy, happy against sad",
    "recall_of_Sad": "of the sad faces, called Sad",
    "recall_of_Happy": "of the happy faces, called Happy",
    "accuracy_where_raters_agree": "accuracy where most raters saw happiness or sadness",
    "accuracy_where_raters_confirm_label": "accuracy where most raters saw what the label says",
    "accuracy_where_raters_do_not_agree": "accuracy on the other happy and sad faces",
    "accuracy_at_90_percent_coverage": "accuracy on the 90 % it is surest of",
    "accuracy_when_certain": "accuracy where it does not say uncertain",
    "certain_of_happy_or_sad": "of happy and sad faces, not called uncertain",
    "certain_of_other_emotions": "of faces with another emotion, not called uncertain",
    "above_0.9_of_happy_or_sad": "of happy and sad faces, probability above 0.9",
    "above_0.9_of_other_emotions": "of faces with another emotion, probability above 0.9",
}
_PARTS = ("tuning", "confirmation")


def describe_card(card: ModelCard) -> str:
    """Write the card's figures as a Markdown table.

    Args:
        card: The card of a packaged network.

    Returns:
        A table with one row per figure and one column per part of the validation faces; shares
        with their 95 % interval and n.
    """
    rows = ["| measured on FER2013's PublicTest | tuning half | confirmation half |"]
    rows.append("| --- | --- | --- |")
    rows.append(_write_row(card, "area under ROC", "area_under_roc", digits=4))
    rows += [_write_row(card, title, name) for name, title in _SHARES.items()]
    for title, name in (
        ("expected calibration error", "calibration_error"),
        ("area under ROC of `neither`, other emotions", "area_under_roc_of_neither"),
    ):
        values = " | ".join(f"{card.figures[part][name]:.3f}" for part in _PARTS)
        rows.append(f"| {title} | {values} |")
    return "\n".join(rows)


def _write_row(card: ModelCard, title: str, name: str, *, digits: int = 3) -> str:
    cells = [_write_share(card.figures[part][name], digits) for part in _PARTS]
    return f"| {title} | {' | '.join(cells)} |"


def _write_share(share: Mapping[str, Any], digits: int) -> str:
    value, low, high = (f"{share[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high}, n = {share['count']:,})"
