"""The ways an answer reaches the client, or does not. Each returns whether the socket may be used again."""

import os
import select
import socket
import struct
import time
from collections.abc import Callable

from sandbox.wire import Request, Response

Delivery = Callable[[socket.socket, Request, Response], bool]

LONGEST_HANG_S = 120.0
HUGE_PIECE = b" " * 65_536


def whole(sock: socket.socket, request: Request, response: Response) -> bool:
    sock.sendall(response.encoded(is_last=request.is_last))
    return not request.is_last


def reset(sock: socket.socket, _request: Request, _response: Response) -> bool:
    """Close with a RST: zero linger, and the descriptor itself, because a reader still holds the socket object."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(sock.detach())
    return False


def hang(sock: socket.socket, _request: Request, _response: Response) -> bool:
    """Say nothing until the client leaves."""
    incoming = select.poll()
    incoming.register(sock, select.POLLIN)
    deadline = time.monotonic() + LONGEST_HANG_S
    while (left := deadline - time.monotonic()) > 0:
        if incoming.poll(left * 1000) and not sock.recv(4096):
            break
    return False


def slow(bytes_per_s: float) -> Delivery:
    """Head and body byte by byte at a steady pace."""

    def deliver(sock: socket.socket, request: Request, response: Response) -> bool:
        for byte in response.encoded(is_last=request.is_last):
            sock.sendall(bytes((byte,)))
            time.sleep(1 / bytes_per_s)
        return not request.is_last

    return deliver


def cut(share: float) -> Delivery:
    """Announce the whole answer, send a share of it, close."""

    def deliver(sock: socket.socket, request: Request, response: Response) -> bool:
        data = response.encoded(is_last=request.is_last)
        head = len(data) - len(response.body)
        sock.sendall(data[: head + int(len(response.body) * share)])
        return False

    return deliver


def huge(size: int) -> Delivery:
    """A valid JSON document padded with blanks to `size` bytes, never held in memory."""

    def deliver(sock: socket.socket, request: Request, response: Response) -> bool:
        padding = max(0, size - len(response.body))
        lengths = f"Content-Length: {len(response.body)}\r\n", f"Content-Length: {len(response.body) + padding}\r\n"
        sock.sendall(response.encoded(is_last=request.is_last).replace(lengths[0].encode(), lengths[1].encode(), 1))
        while padding > 0:
            padding -= sock.send(HUGE_PIECE[:padding])
        return not request.is_last

    return deliver
