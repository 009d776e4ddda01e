"""A drawn face with a mouth that follows a voice: pictures from numpy, no network, no model.

`FaceAvatar` shows it as an agent's avatar. A voice that knows its phonemes attaches mouth shapes
to its audio frames: `userdata={VISEMES_KEY: (Viseme(0.1, shape_of("a")), ...)}`; for every other
voice the mouth follows the loudness.
"""

from .avatar import FaceAvatar
from .drawing import HEIGHT, WIDTH, Face
from .expression import Expression, Look
from .mouth import MouthShape, MouthTimeline, Viseme, shape_of
from .video import AUDIO_RATE, FRAMES_PER_SECOND, VISEMES_KEY, FaceVideo

__all__ = [
    "FaceAvatar", "FaceVideo", "Face", "WIDTH", "HEIGHT", "FRAMES_PER_SECOND", "AUDIO_RATE",
    "Expression", "Look", "MouthShape", "MouthTimeline", "Viseme", "VISEMES_KEY", "shape_of",
]  # fmt: skip
