"""Session descriptions: reading a client's, writing the server's by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

MID_EXTENSION = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID_EXTENSION = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
AUDIO_LEVEL_EXTENSION = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
DEPENDENCY_EXTENSION = (
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
)
# Extensions that describe the frame, not the hop: relayed, and offered to subscribers.
END_TO_END_EXTENSIONS = (
    DEPENDENCY_EXTENSION,
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
)
MAX_MESSAGE_SIZE = 65535  # bytes; the client refuses to send more, as with LiveKit's own server

# Names that say which stream is of which quality, lowest first.
_KNOWN_RIDS = (("q", "h", "f"), ("2", "1", "0"))
_COMMON_H264 = {"packetization-mode=1", "profile-level-id=42e01f"}
_NOT_MEDIA = {"rtx", "red", "ulpfec", "flexfec-03", "cn", "telephone-event"}


@dataclass(frozen=True)
class Codec:
    """One payload type with its rtpmap and fmtp."""

    payload_type: int
    name: str
    clock_rate: int
    channels: str = ""
    fmtp: str = ""

    @property
    def rtpmap(self) -> str:
        """The rtpmap value, such as `opus/48000/2`."""
        return f"{self.name}/{self.clock_rate}" + (f"/{self.channels}" if self.channels else "")


@dataclass
class Media:
    """One m-line of a client's description."""

    kind: str
    port: int
    protocol: str
    formats: list[str]
    attributes: list[tuple[str, str]] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        """The values of all attributes of this name."""
        return [value for key, value in self.attributes if key == name]

    def value(self, name: str) -> str:
        """The value of the first attribute of this name, or an empty string."""
        return next((value for key, value in self.attributes if key == name), "")

    @property
    def mid(self) -> str:
        """The m-line's identifier."""
        return self.value("mid")

    @property
    def direction(self) -> str:
        """sendrecv, sendonly, recvonly or inactive."""
        for key, _ in self.attributes:
            if key in ("sendrecv", "sendonly", "recvonly", "inactive"):
                return key
        return "sendrecv"

    @property
    def sends(self) -> bool:
        """Whether the client sends on it."""
        return self.port != 0 and self.direction in ("sendrecv", "sendonly")

    @property
    def track_id(self) -> str:
        """The second token of `a=msid`: the cid the client announced the track with."""
        parts = self.value("msid").split()
        return parts[1] if len(parts) > 1 else ""

    @property
    def rids(self) -> list[str]:
        """The simulcast stream ids, in the order of the offer."""
        direction, _, streams = self.value("simulcast").partition(" ")
        names = streams.split()[0].split(";") if direction == "send" and streams else []
        return [name.split(",")[0].lstrip("~") for name in names]

    @property
    def ssrcs(self) -> list[int]:
        """Every SSRC the client names, in order, once."""
        found: dict[int, None] = {}
        for value in self.values("ssrc"):
            found[int(value.split()[0])] = None
        return list(found)

    def extensions(self) -> dict[str, int]:
        """Header extension ids by their URI."""
        result: dict[str, int] = {}
        for value in self.values("extmap"):
            number, _, uri = value.partition(" ")
            result[uri.split()[0]] = int(number.partition("/")[0])
        return result

    def check(self) -> None:
        """Raise ValueError if a number is malformed, so that no part of the m-line is applied."""
        _ = self.codecs(), self.extensions(), self.ssrcs, self.rids

    def codecs(self) -> list[Codec]:
        """Every payload type that has an rtpmap, in the order of preference."""
        maps = dict(value.split(" ", 1) for value in self.values("rtpmap"))
        formats = dict(value.split(" ", 1) for value in self.values("fmtp"))
        found: list[Codec] = []
        for number in self.formats:
            name, _, rest = maps.get(number, "").partition("/")
            if name:
                rate, _, channels = rest.partition("/")
                codec = Codec(int(number), name, int(rate), channels, formats.get(number, ""))
                found.append(codec)
        return found

    def codec(self, wanted: str = "") -> Codec | None:
        """The codec of the wanted name, else the first one that carries media.

        Of several H264 profiles it is the one that every client decodes.
        """
        usable = [codec for codec in self.codecs() if codec.name.lower() not in _NOT_MEDIA]
        named = [codec for codec in usable if codec.name.lower() == wanted.lower()] or usable[:1]
        common = [codec for codec in named if set(codec.fmtp.split(";")) >= _COMMON_H264]
        return next(iter(common or named), None)

    def like(self, sent: Codec) -> Codec | None:
        """The codec of the same name whose parameters are the nearest."""
        own = set(sent.fmtp.split(";"))
        same = [codec for codec in self.codecs() if codec.rtpmap.lower() == sent.rtpmap.lower()]
        return max(same, key=lambda codec: len(own & set(codec.fmtp.split(";"))), default=None)

    def red(self, inner: Codec) -> Codec | None:
        """The redundant form (RFC 2198) of a codec, if it is offered."""
        prefix = f"{inner.payload_type}/"
        codecs = (codec for codec in self.codecs() if codec.name.lower() == "red")
        return next((codec for codec in codecs if codec.fmtp.startswith(prefix)), None)


@dataclass
class Description:
    """A client's description: its m-lines and what they share."""

    media: list[Media]
    attributes: list[tuple[str, str]]

    def shared(self, name: str) -> str:
        """An attribute of the session, or of the first m-line that has it."""
        for key, value in self.attributes:
            if key == name:
                return value
        return next((media.value(name) for media in self.media if media.value(name)), "")

    @property
    def fingerprint(self) -> tuple[str, str]:
        """Algorithm and value of the client's certificate fingerprint."""
        algorithm, _, value = self.shared("fingerprint").partition(" ")
        return algorithm, value

    @property
    def ufrag(self) -> str:
        """The client's ICE user fragment; a new one means an ICE restart."""
        return self.shared("ice-ufrag")


def lowest_first(rids: list[str]) -> list[str]:
    """Simulcast stream ids in the order of their quality.

    The names that LiveKit's clients use decide, because its SDKs list them highest first and
    browsers lowest first; otherwise the order of the offer does.
    """
    for names in _KNOWN_RIDS:
        if set(rids) <= set(names):
            return [name for name in names if name in rids]
    return rids


def parse(text: str) -> Description:
    """Read a description.

    Raises:
        ValueError: an m-line or a number in it is malformed.
    """
    description = Description([], [])
    for line in text.splitlines():
        name, _, value = line.strip().partition("=")
        if name == "m":
            kind, port, protocol, *formats = value.split()
            description.media.append(Media(kind, int(port), protocol, formats))
        elif name == "a":
            key, _, rest = value.partition(":")
            target = description.media[-1] if description.media else description
            target.attributes.append((key, rest))
    for media in description.media:
        media.check()
    return description


def transport_lines(
    ufrag: str, password: str, port: int, fingerprint: str, setup: str
) -> list[str]:
    """What every m-line of one server-side connection repeats: ICE, its candidate, and DTLS."""
    return [
        f"a=ice-ufrag:{ufrag}",
        f"a=ice-pwd:{password}",
        f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host",
        "a=end-of-candidates",
        f"a=fingerprint:sha-256 {fingerprint}",
        f"a=setup:{setup}",
    ]


def application_section(mid: str, transport: list[str]) -> list[str]:
    """The data channels' m-line."""
    return [
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{mid}",
        "a=sendrecv",
        "a=sctp-port:5000",
        f"a=max-message-size:{MAX_MESSAGE_SIZE}",
        *transport,
    ]


def media_section(
    kind: str, mid: str, codecs: list[Codec], direction: str, transport: list[str]
) -> list[str]:
    """An audio or video m-line with these codecs; the caller appends what is particular."""
    numbers = " ".join(str(codec.payload_type) for codec in codecs)
    lines = [
        f"m={kind} 9 UDP/TLS/RTP/SAVPF {numbers}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{mid}",
        f"a={direction}",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        *transport,
    ]
    feedback = ("goog-remb", "ccm fir", "nack", "nack pli") if kind == "video" else ()
    for codec in codecs:
        number = codec.payload_type
        lines.append(f"a=rtpmap:{number} {codec.rtpmap}")
        if codec.fmtp:
            lines.append(f"a=fmtp:{number} {codec.fmtp}")
        lines += [f"a=rtcp-fb:{number} {what}" for what in feedback]
    return lines


def with_parameters(codec: Codec, *parameters: str, without: Iterable[str] = ()) -> Codec:
    """The codec with these fmtp parameters, and without those of the given names."""
    dropped = {*without, *(parameter.partition("=")[0] for parameter in parameters)}
    kept = [item for item in codec.fmtp.split(";") if item.partition("=")[0] not in dropped]
    return replace(codec, fmtp=";".join([*filter(None, kept), *parameters]))


def rejected_section(kind: str, protocol: str, formats: str, mid: str) -> list[str]:
    """An m-line that is rejected, or that has ended."""
    return [f"m={kind} 0 {protocol} {formats}", "c=IN IP4 0.0.0.0", f"a=mid:{mid}", "a=inactive"]


def extmap_lines(extensions: dict[str, int], wanted: Iterable[str]) -> list[str]:
    """extmap attributes for those of `wanted` that the other side knows."""
    return [f"a=extmap:{extensions[uri]} {uri}" for uri in wanted if uri in extensions]


def compose(session_id: int, version: int, mids: list[str], sections: list[list[str]]) -> str:
    """A whole description with one BUNDLE group over `mids`."""
    lines = [
        "v=0",
        f"o=- {session_id} {version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS *",
        f"a=group:BUNDLE {' '.join(mids)}",
    ]
    for section in sections:
        lines += section
    return "\r\n".join(lines) + "\r\n"
