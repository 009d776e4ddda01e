"""FFmpeg's encoders and muxer alone, with the same options, as its own process would run them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from livelayer_bus import AudioFrame, VideoFrame

from ...workloads.record import FPS, PRESET, QUALITY, Shown, Source

NAME = "FFmpeg alone"
REQUIRES = ("av",)


async def recorded(source: Source, folder: Path) -> Shown:
    container: Any = av.open(str(folder / "media.mp4"), "w")
    options = {"preset": PRESET, "crf": str(QUALITY), "tune": "zerolatency", "bf": "0"}
    video = container.add_stream("libx264", rate=FPS, options=options)
    video.width, video.height, video.pix_fmt = source.width, source.height, "yuv420p"
    video.codec_context.gop_size = FPS // 2
    video.codec_context.thread_count = 1
    audio = container.add_stream("aac", rate=48_000, layout="mono")
    audio.bit_rate = 64_000
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=48_000)
    count = samples = 0

    def show(picture: VideoFrame) -> None:
        nonlocal count
        data = np.frombuffer(picture.data, np.uint8).reshape(source.height * 3 // 2, source.width)
        frame = av.VideoFrame.from_numpy_buffer(data, format="yuv420p")
        frame.pts, frame.time_base = count, Fraction(1, FPS)
        count += 1
        container.mux(video.encode(frame))

    def hear(sound: AudioFrame) -> None:
        nonlocal samples
        frame = av.AudioFrame.from_ndarray(sound.to_ndarray().T, format="s16", layout="mono")
        frame.sample_rate = sound.sample_rate
        for part in resampler.resample(frame):
            part.pts, part.time_base = samples, Fraction(1, 48_000)
            samples += part.samples
            container.mux(audio.encode(part))

    await source.play(show, hear)
    for stream in (video, audio):
        container.mux(stream.encode(None))
    container.close()
    return Shown(count, [])
