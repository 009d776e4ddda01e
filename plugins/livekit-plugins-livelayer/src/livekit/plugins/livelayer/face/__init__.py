"""A drawn face with a mouth that follows a voice: pictures from numpy, no network, no model."""

from __future__ import annotations

from .audio_features import VISEMES_KEY, energies, visemes_of
from .drawing import HEIGHT, WIDTH, Face
from .expression import Expression, Look
from .mouth import MouthShape, MouthTimeline, Viseme, shape_of

__all__ = [
    "Face",
    "WIDTH",
    "HEIGHT",
    "Expression",
    "Look",
    "MouthShape",
    "MouthTimeline",
    "Viseme",
    "shape_of",
    "energies",
    "visemes_of",
    "VISEMES_KEY",
]
