"""The data sets that emoclf knows: where each is from, on what terms, how many photos, how to get.

Terms are summed up in a sentence from what the owners publish; the owners' own text counts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Access = Literal["built_in", "open", "login", "request"]
"""Built in, open to everybody, after a login, or on request to the owners (never fetched)."""

PROJECT_DRIVE_LINK = "https://drive.google.com/drive/folders/1zWFnDQt2xOoRCO4GqhhCw3B6s8pHFKq1"
"""The project's public folder on Google Drive."""

FER_PLUS_ADDRESS = "https://raw.githubusercontent.com/microsoft/FERPlus/master/fer2013new.csv"
"""The votes of FER+, as their authors publish them."""

KAGGLE_FER2013 = "msambare/fer2013"
"""FER2013 on Kaggle as train and test folders, the form that needs no agreement to rules."""

_WORDS_ACCESS: dict[Access, str] = {
    "built_in": "drawn on your machine",
    "open": "no login",
    "login": "a free Kaggle account, as a rule",
    "request": "on request to the owners; emoclf never fetches it",
}


@dataclass(frozen=True)
class DataSet:
    """What is known about a data set.

    Attributes:
        name: What the commands call it.
        title: What it is, in a line.
        origin: Where it comes from: an address, with the paper where there is one.
        terms: Licence and terms in a sentence.
        access: Who may have it: a key that `describe` turns into words.
        classes: Its own class names.
        how: How to get it, in a sentence.
        photos: How many photos it holds, or None where that is not fixed.
        parts: Published counts: part -> class -> photos; empty where none are published.
    """

    name: str
    title: str
    origin: str
    terms: str
    access: Access
    classes: tuple[str, ...]
    how: str
    photos: int | None = None
    parts: dict[str, dict[str, int]] = field(default_factory=dict)

    def count_class(self, class_name: str) -> int:
        """Return the published count of a class over all parts, 0 where none is published."""
        return sum(counts.get(class_name, 0) for counts in self.parts.values())

    def describe(self) -> str:
        """Return what is known, as lines of text."""
        total = f"{self.photos:,} in all: " if self.photos else ""
        classes = ", ".join(
            f"{name} {count:,}" if (count := self.count_class(name)) else name
            for name in self.classes
        )
        return "\n".join(
            (
                f"{self.name}: {self.title}",
                f"  from     {self.origin}",
                f"  terms    {self.terms}",
                f"  access   {_WORDS_ACCESS[self.access]}",
                f"  holds    {total}{classes}",
                f"  get it   {self.how}",
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the same as what JSON can hold."""
        return asdict(self)


def list_data_sets() -> tuple[DataSet, ...]:
    """Return every data set that emoclf knows, those that can be had at once first."""
    return DATA_SETS


def find_data_set(name: str) -> DataSet:
    """Look up a data set.

    Args:
        name: Its name, in upper or lower case.

    Returns:
        What is known about it.

    Raises:
        ValueError: If there is none of this name; the message lists those there are.

    Example:
        >>> find_data_set("fer2013").count_class("sadness")
        6077
    """
    for data_set in DATA_SETS:
        if data_set.name == name.lower():
            return data_set
    names = ", ".join(each.name for each in DATA_SETS)
    raise ValueError(
        f"There is no data set {name!r} in the registry. It has: {names}. A folder of your own "
        "needs no entry: pass the folder itself."
    )


_EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")


def _by_emotion(*counts: int) -> dict[str, int]:
    return dict(zip(_EMOTIONS, counts, strict=True))


FER2013_PARTS: dict[str, dict[str, int]] = {
    "Training": _by_emotion(3995, 436, 4097, 7215, 4830, 3171, 4965),
    "PublicTest": _by_emotion(467, 56, 496, 895, 653, 415, 607),
    "PrivateTest": _by_emotion(491, 55, 528, 879, 594, 416, 626),
}
"""Faces of FER2013 by `Usage` and emotion. The sums over the usages are those of the paper
(arXiv:1307.0414): 4,953 anger, 547 disgust, 5,121 fear, 8,989 happiness, 6,077 sadness,
4,002 surprise, 6,198 neutral."""

DATA_SETS: tuple[DataSet, ...] = (
    DataSet(
        name="drawn-faces",
        title="faces that emoclf draws, for trying everything without a photo of anybody",
        origin="emoclf.make_drawn_faces",
        terms="Part of this project (MIT); nobody's picture is in them.",
        access="built_in",
        classes=("Sad", "Happy"),
        how="python -m emoclf fetch drawn-faces FOLDER",
        photos=2000,
    ),
    DataSet(
        name="project-drive",
        title="the photos of this project's lesson",
        origin=PROJECT_DRIVE_LINK,
        terms="Shared by the link, without a licence: photos of people, to learn with and not to "
        "pass on.",
        access="open",
        classes=("Sad", "Happy"),
        how="python -m emoclf fetch project-drive FOLDER, with gdown 6; or add the folder to your "
        "Drive, mount it and stage it",
    ),
    DataSet(
        name="fer2013",
        title="faces from a web search, 48 x 48 grey pixels, seven emotions",
        origin="https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-"
        "recognition-challenge; Goodfellow et al. 2013, arXiv:1307.0414",
        terms="Handed out for a Kaggle contest under its rules; the photos belong to those who "
        "took them, so use them for study and do not publish them.",
        access="login",
        classes=_EMOTIONS,
        how="python -m emoclf fetch fer2013 FOLDER --from fer2013.csv, with the file from Kaggle; "
        "without --from through kagglehub, where it is installed",
        photos=35887,
        parts=FER2013_PARTS,
    ),
    DataSet(
        name="fer-plus",
        title="the votes of ten raters for every face of FER2013: labels, no pictures",
        origin="https://github.com/microsoft/FERPlus; Barsoum et al. 2016, arXiv:1608.01041",
        terms="MIT licence, and the authors ask to be cited; the faces are those of FER2013, on "
        "its terms.",
        access="open",
        classes=(*_EMOTIONS, "contempt", "unknown", "not a face"),
        how="python -m emoclf fetch fer-plus FOLDER; then fetch fer2013 --votes",
        photos=35887,
    ),
    DataSet(
        name="affectnet",
        title="about a million faces from the web, some 440,000 rated by hand",
        origin="http://mohammadmahoor.com/pages/databases/affectnet/; Mollahosseini et al. 2017, "
        "arXiv:1708.03985",
        terms="For research only, under a signed agreement, which a professor or the manager of a "
        "laboratory has to ask for.",
        access="request",
        classes=(*_EMOTIONS, "contempt"),
        how="Ask the owners at the address above; with the photos in class folders, use --map",
    ),
    DataSet(
        name="raf-db",
        title="29,672 faces from the web, rated by about forty people each; 15,339 basic emotions",
        origin="http://www.whdeng.cn/RAF/model1.html; Li, Deng and Du 2017",
        terms="For research that is not commercial; no part may be copied on or published.",
        access="request",
        classes=_EMOTIONS,
        how="Ask the owners at the address above; with the photos in class folders, use --map",
        photos=29672,
    ),
    DataSet(
        name="ck-plus",
        title="593 films of 123 people in a laboratory, from a neutral face to an expression",
        origin="https://www.pitt.edu/~emotion/ck-spread.htm; Lucey et al. 2010",
        terms="For research, under an agreement with the owners.",
        access="request",
        classes=("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise"),
        how="Ask the owners at the address above. The last pictures of a film show the expression: "
        "copy those into class folders",
        parts={
            "labelled films": {
                "anger": 45,
                "contempt": 18,
                "disgust": 59,
                "fear": 25,
                "happiness": 69,
                "sadness": 28,
                "surprise": 83,
            }
        },
    ),
)
"""Every data set that emoclf knows."""
