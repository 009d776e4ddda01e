"""Names of topics and attributes: those that LiveKit's protocol reserves, and one of ours."""

from __future__ import annotations

from typing import Final

RESERVED_PREFIX: Final = "lk."

# Topics of text streams
CHAT_TOPIC: Final = "lk.chat"  # typed text, for an agent without the LiveLayer plugin
TRANSCRIPTION_TOPIC: Final = "lk.transcription"

# Attributes of a transcription's text stream
SEGMENT_ID: Final = "lk.segment_id"
TRANSCRIPTION_FINAL: Final = "lk.transcription_final"  # "true" in the trailer of a final one
TRANSCRIBED_TRACK_ID: Final = "lk.transcribed_track_id"
REPLAYED: Final = "livelayer.replayed"  # "true": said before its reader left and came back

# Attributes of participants
AGENT_STATE: Final = "lk.agent.state"
PUBLISH_ON_BEHALF: Final = "lk.publish_on_behalf"  # the identity of an avatar worker's agent
