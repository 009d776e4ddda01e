"""A page's SDP offer: checked before it is used, without candidates that only cost time.

Chromium names its addresses by mDNS (`.local`), which takes a second to look up and is not needed:
the page's own checks reach the server first, and their source is the address. So no candidate of
an offer is used unless the application names ICE servers; then those with real addresses are, and
the server sends no packet to an address that a page only claims to have.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import msgspec
from aiortc.rtcrtpparameters import RTCRtpCodecCapability, RTCRtpCodecParameters
from aiortc.rtcrtpsender import RTCRtpSender
from aiortc.sdp import MediaDescription, SessionDescription

from livelayer_bus.errors import MisuseError

SourceKind: TypeAlias = Literal["microphone", "camera", "screen"]
KINDS: Final[tuple[SourceKind, ...]] = get_args(SourceKind)
SectionKind: TypeAlias = Literal["audio", "video"]
Role: TypeAlias = Literal["audio", "video"] | SourceKind
"""What a section carries: the agent's audio or video to the page, or a source of the page."""

AUDIO_ROLES: Final[tuple[Role, ...]] = ("audio", "microphone")
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
"""What aiortc's parser raises for text that is not SDP."""


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
    """MIME types in lower case that both sides support, in the page's order; never empty."""


class Offer(msgspec.Struct, frozen=True):
    """An offer that can be answered."""

    sdp: str
    sections: tuple[Section, ...]
    """In the order of the offer; each role at most once; at least `audio` or `video`."""

    @property
    def video_codec(self) -> str | None:
        """The codec that the page prefers of those that are encoded here."""
        return next((item.codecs[0] for item in self.sections if item.role == "video"), None)


def read_offer(text: str, *, candidates: bool = False) -> Offer:
    """Check an offer and remove the candidates that are not used.

    Args:
        text: what the page's `createOffer` gave.
        candidates: keep those with real addresses.

    Raises:
        OfferError: it is not SDP, or asks for something that is not offered here.
    """
    if len(text) > MAX_BYTES:
        raise OfferError(f"{len(text)} characters of SDP, the limit is {MAX_BYTES}")
    if not text.startswith("v=0"):
        raise OfferError("it is not SDP")
    kept = [line for line in text.splitlines() if line and _is_of_use(line, candidates)]
    sdp = "\r\n".join(kept) + "\r\n"
    try:
        description = SessionDescription.parse(sdp)
    except PARSE_ERRORS as error:
        raise OfferError("it is not SDP") from error
    _check_bundle(description)
    sections: list[Section] = []
    for media in description.media:
        _check_transport(media)
        role = _role(media, {section.role for section in sections})
        codecs = _codecs(media)
        if not codecs:
            raise OfferError(f"no codec for the {role} that both sides have")
        kind: SectionKind = "audio" if role in AUDIO_ROLES else "video"
        sections.append(Section(role, kind, codecs))
    if not {"audio", "video"} & {section.role for section in sections}:
        raise OfferError("it asks for neither audio nor video")
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
        raise OfferError("its sections need names (a=mid) that differ")
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
        roles = ("audio",) if media.kind == "audio" else ("video",)
    elif media.direction == "sendonly":
        roles = ("microphone",) if media.kind == "audio" else ("camera", "screen")
    else:
        raise OfferError("it has a section with no direction")
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
    # The constrained and the plain baseline profile, in units of any size, as aiortc has them.
    profile = str(codec.parameters.get("profile-level-id", "42e01f"))[:4].lower()
    return profile in ("42e0", "4200") and str(codec.parameters.get("packetization-mode")) == "1"
