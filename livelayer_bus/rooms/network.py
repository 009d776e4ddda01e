"""Whether this machine has a network interface that WebRTC can use.

The native SDK reaches a server only from an interface that runs, is not loopback and has an address
(WebRTC's `rtc_base/network.cc`), a server on 127.0.0.1 too. Without one, each join would end in a
timeout. Found by trial with livekit 1.1.21 and 1.2.1.
"""

from __future__ import annotations

import ctypes
import socket
from typing import Final

PROBLEM: Final = "WebRTC needs a network interface with an address, and only loopback is up"
NETWORK_ADVICE: Final = "connect this machine to a network, for its own servers too"

_LOOPBACK: Final = 0x8  # IFF_LOOPBACK and IFF_RUNNING of Linux, macOS and the BSDs
_RUNNING: Final = 0x40


class _Interface(ctypes.Structure):
    """The head of their `struct ifaddrs`: one address of one interface."""


_Interface._fields_ = [
    ("next", ctypes.POINTER(_Interface)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.POINTER(ctypes.c_ubyte)),
]


def network_problem() -> str | None:
    """Why no room can be joined from this machine; None if it can, or the system does not say."""
    first = ctypes.POINTER(_Interface)()
    try:
        libc = ctypes.CDLL(None)
        if libc.getifaddrs(ctypes.byref(first)) != 0:
            return None
    except (AttributeError, OSError, TypeError):  # Windows
        return None
    interface, usable = first, False
    while bool(interface) and not usable:
        usable = _usable(interface.contents)
        interface = interface.contents.next
    libc.freeifaddrs(first)
    return None if usable else PROBLEM


def _usable(interface: _Interface) -> bool:
    address = interface.address
    if not address or interface.flags & (_RUNNING | _LOOPBACK) != _RUNNING:
        return False
    family = set(address[:2])  # the family and 0, or a length and the family
    if socket.AF_INET6 in family:
        return not (address[8] == 0xFE and address[9] & 0xC0 == 0x80)  # WebRTC skips fe80::/10
    return socket.AF_INET in family
