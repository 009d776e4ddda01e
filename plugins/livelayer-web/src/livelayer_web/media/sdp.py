"""A page's SDP offer: checked before anything is built on it, and freed of what only costs time.

Chromium names its addresses by mDNS (`.local`), which takes a second to look up and is not needed:
the page's own checks reach the server first, and their source is the address. So no candidate of
an offer is used unless the application names ICE servers; then those with real addresses are, and
the server sends no packet to an address that a page only claims to have.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec
from aiortc.rtcrtpparameters import RTCRtpCodecCapability, RTCRtpCodecParameters
from aiortc.rtcrtpsender import RTCRtpSender
from aiortc.sdp import MediaDescription, SessionDescription

from livelayer_bus.errors import MisuseError

SourceKind: TypeAlias = Literal["microphone", "camera", "screen"]
SectionKind: TypeAlias = Literal["audio", "video"]
Role: TypeAlias = Literal["sound", "picture"] | SourceKind
"""What a section carries: the agent's sound or picture to the page, or a source of the page's."""

SOUND_ROLES: Final[tuple[Role, ...]] = ("sound", "microphone")
SOURCE_KINDS: Final[tuple[SourceKind, ...]] = ("microphone", "camera", "screen")
CODECS: Final = frozenset({"audio/opus", "video/vp8", "video/h264"})
RTX: Final = "video/rtx"
MAX_BYTES: Final = 64 << 10  # of an offer; Chromium's is 15 KiB
MAX_SECTIONS: Final = 5
PARSE_ERRORS: Final = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    StopIteration,
)
"""What aiortc's parser raises on text that is no SDP."""


class OfferError(MisuseError):
    """An SDP offer that cannot be answered; `problem` says why, without quoting it."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the offer cannot be answered: {problem}")
        self.problem = problem


class Section(msgspec.Struct, frozen=True):
    """One media section of an offer."""

    role: Role
    kind: SectionKind
    codecs: tuple[str, ...]
    """MIME types in lower case that both sides know, in the page's order; never empty."""


class Offer(msgspec.Struct, frozen=True):
    """An offer that can be answered."""

    sdp: str
    sections: tuple[Section, ...]
    """In the order of the offer; each role at most once, `sound` or `picture` at least."""

    @property
    def video_codec(self) -> str | None:
        """The codec that the page likes best of those that are encoded here."""
        return next((item.codecs[0] for item in self.sections if item.role == "picture"), None)


def read_offer(text: str, *, candidates: bool = False) -> Offer:
    """Check an offer and return it without the candidates that are of no use.

    Args:
        text: what the page's `createOffer` gave.
        candidates: keep those with real addresses.

    Raises:
        OfferError: it is no SDP, or asks for something that is not offered here.
    """
    if len(text) > MAX_BYTES:
        raise OfferError(f"{len(text)} characters of SDP, the limit is {MAX_BYTES}")
    if not text.startswith("v=0"):
        raise OfferError("it is no SDP")
    kept = [line for line in text.splitlines() if line and _is_of_use(line, candidates)]
    sdp = "\r\n".join(kept) + "\r\n"
    try:
        description = SessionDescription.parse(sdp)
    except PARSE_ERRORS as error:
        raise OfferError("it is no SDP") from error
    _check_bundle(description)
    sections: list[Section] = []
    for media in description.media:
        _check_transport(media)
        role = _role(media, {section.role for section in sections})
        codecs = _codecs(media)
        if not codecs:
            raise OfferError(f"no codec for the {role} that both sides have")
        kind: SectionKind = "audio" if role in SOUND_ROLES else "video"
        sections.append(Section(role, kind, codecs))
    if not {"sound", "picture"} & {section.role for section in sections}:
        raise OfferError("it asks neither for sound nor for a picture")
    return Offer(sdp, tuple(sections))


def preferences(kind: SectionKind, codecs: tuple[str, ...]) -> list[RTCRtpCodecCapability]:
    """What a transceiver may use, in order: these MIME types, and retransmission."""
    have = RTCRtpSender.getCapabilities(kind).codecs
    chosen = [item for codec in codecs for item in have if item.mimeType.lower() == codec]
    return chosen + [item for item in have if item.mimeType.lower() == RTX]


def _is_of_use(line: str, candidates: bool) -> bool:
    if line.startswith("a=candidate:"):
        return candidates and ".local " not in line
    return line != "a=end-of-candidates"


def _check_bundle(description: SessionDescription) -> None:
    media = description.media
    if not 1 <= len(media) <= MAX_SECTIONS:
        raise OfferError(f"{len(media)} media sections, not 1 to {MAX_SECTIONS}")
    mids = [item.rtp.muxId for item in media]
    if not all(mids) or len(set(mids)) != len(mids):
        raise OfferError("its sections have no names (a=mid) that differ")
    bundles = [group.items for group in description.group if group.semantic == "BUNDLE"]
    if len(mids) > 1 and bundles != [mids]:
        raise OfferError("its sections are not bundled")


def _check_transport(media: MediaDescription) -> None:
    if media.kind not in ("audio", "video"):
        raise OfferError("it has a section that is neither audio nor video")
    if media.port == 0 or not media.rtcp_mux:
        raise OfferError("it has a section that is switched off, or without rtcp-mux")
    if media.ice is None or not (media.ice.usernameFragment and media.ice.password):
        raise OfferError("it has no ICE user name and password")
    if media.dtls is None or not media.dtls.fingerprints:
        raise OfferError("it has no DTLS fingerprint")
    if media.dtls.role not in ("auto", "client"):
        raise OfferError("it wants to be the DTLS server")


def _role(media: MediaDescription, taken: set[Role]) -> Role:
    roles: tuple[Role, ...]
    if media.direction in ("recvonly", "sendrecv"):
        roles = ("sound",) if media.kind == "audio" else ("picture",)
    elif media.direction == "sendonly":
        roles = ("microphone",) if media.kind == "audio" else ("camera", "screen")
    else:
        raise OfferError("it has a section that goes in no direction")
    for role in roles:
        if role not in taken:
            return role
    raise OfferError(f"too many {media.kind} sections that are {media.direction}")


def _codecs(media: MediaDescription) -> tuple[str, ...]:
    known = (item.mimeType.lower() for item in media.rtp.codecs if _is_known(item))
    return tuple(dict.fromkeys(known))


def _is_known(codec: RTCRtpCodecParameters) -> bool:
    if codec.mimeType.lower() != "video/h264":
        return codec.mimeType.lower() in CODECS
    # The constrained and the plain baseline profile, in pieces of any size, as aiortc has them.
    profile = str(codec.parameters.get("profile-level-id", "42e01f"))[:4].lower()
    return profile in ("42e0", "4200") and str(codec.parameters.get("packetization-mode")) == "1"
