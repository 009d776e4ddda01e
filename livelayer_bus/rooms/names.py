"""Topics of streams and packets, and attributes of participants: LiveKit's own, and ours."""

from __future__ import annotations

from typing import Final

RESERVED_PREFIX: Final = "lk."

# Topics of text streams
CHAT_TOPIC: Final = "lk.chat"  # typed text, for an agent without the LiveLayer plugin
TRANSCRIPTION_TOPIC: Final = "lk.transcription"

# Topic of byte streams
PRE_CONNECT_AUDIO_TOPIC: Final = "lk.agent.pre-connect-audio-buffer"  # said before the agent came

# Attributes of a transcription's text stream
SEGMENT_ID: Final = "lk.segment_id"
TRANSCRIPTION_FINAL: Final = "lk.transcription_final"  # "true" in the trailer of a final one
TRANSCRIBED_TRACK_ID: Final = "lk.transcribed_track_id"
REPLAYED: Final = "livelayer.replayed"  # "true": said before its reader left and came back

# Attributes of participants
AGENT_STATE: Final = "lk.agent.state"
PUBLISH_ON_BEHALF: Final = "lk.publish_on_behalf"  # the identity of an avatar worker's agent

# Confirmed delivery: an agent with the attribute confirms each packet on the first topic, which
# ends in `<session id>.<number>`, by a packet on the second one that holds this id. No message
# that lies a window behind the newest one is sent again: a bridge remembers no more.
CONFIRMS: Final = "livelayer.confirms"  # "true"
CONFIRM_TOPIC: Final = "livelayer.confirm/"
CONFIRMED_TOPIC: Final = "livelayer.confirmed"
CONFIRM_WINDOW: Final = 1024  # messages of one session
