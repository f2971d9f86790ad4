"""Watches every connection that is begun in a network of this process's own: `unshare -rn`.

There is nothing but loopback, and all addresses lead there: what is sent to anybody is seen by the
kernel's packet socket and arrives nowhere.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
import subprocess
import threading

SIOCSIFFLAGS = 0x8914
IFF_UP = 1
ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_ATTACH_FILTER = 26
TCP, UDP = 6, 17
SYN, SYN_ACK = 0x02, 0x12
ROUTES = (("-4", "0.0.0.0/1"), ("-4", "128.0.0.0/1"), ("-6", "2000::/3"))
FILTER = (  # of IPv4: UDP, and TCP that opens a connection; all of IPv6
    (0x30, 0, 0, 0), (0x74, 0, 0, 4), (0x15, 8, 0, 6), (0x15, 0, 8, 4), (0x30, 0, 0, 9),
    (0x15, 5, 0, UDP), (0x15, 0, 5, TCP), (0xB1, 0, 0, 0), (0x50, 0, 0, 13),
    (0x54, 0, 0, SYN_ACK), (0x15, 0, 1, SYN), (0x06, 0, 0, 256), (0x06, 0, 0, 0))
Place = tuple[str, int, str]
"""Address, port and protocol."""


def lead_all_to_loopback() -> None:
    """Brings loopback up, and makes it the way to everywhere."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    for family, network in ROUTES:
        # a kernel without IPv6 leads nowhere by it
        subprocess.run(["ip", family, "route", "add", network, "dev", "lo"],
                       check=family == "-4", capture_output=True)


def place_of(packet: bytes) -> Place | None:
    """Where a packet that begins something goes."""
    if packet[0] >> 4 == 4:
        start, kind = (packet[0] & 15) * 4, packet[9]
        address = socket.inet_ntop(socket.AF_INET, packet[16:20])
    else:
        start, kind = 40, packet[6]
        address = socket.inet_ntop(socket.AF_INET6, packet[24:40])
    if kind == UDP or (kind == TCP and packet[start + 13] & SYN_ACK == SYN):
        return address, int.from_bytes(packet[start + 2:start + 4], "big"), (
            "udp" if kind == UDP else "tcp")
    return None


class Egress:
    """`with Egress() as egress`: `egress.places` afterwards."""

    def __init__(self) -> None:
        self.places: set[Place] = set()
        self.missed = 0
        program = b"".join(struct.pack("HBBI", *line) for line in FILTER)
        self._program = ctypes.create_string_buffer(program, len(program))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Egress:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack(
            "HxxxxxxP", len(FILTER), ctypes.addressof(self._program)))
        self._socket.bind(("lo", ETH_P_ALL))
        self._socket.settimeout(0.1)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        found = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        self.missed = struct.unpack("II", found)[1]
        self._socket.close()

    def _look(self) -> None:
        while not self._stopping.is_set():
            try:
                place = place_of(self._socket.recv(256))
            except TimeoutError:
                continue
            if place is not None:
                self.places.add(place)
