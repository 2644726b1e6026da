#!/usr/bin/env python3
"""A line of so many bytes a second whose ends hold next to nothing, so that a slow viewer is seen as one at once.

    slow_line.py PORT    where to; prints its own port, then takes a rate in bytes a second from each line of its input

Node can't make a receive buffer small, and a line that holds 200 kB is itself seconds long at the rates tried.
"""

import socket
import sys
import threading
import time

HELD_BYTES = 16384  # asked for; the kernel doubles it and counts its own costs in
EVERY_S = 0.02

rate = float("inf")


def small(end):
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HELD_BYTES)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, HELD_BYTES)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def carry(source, sink, limited):
    """Ends with the connection; what the rate allows and is not there to carry is lost, as on a real line."""
    due = time.monotonic()
    try:
        while True:
            most = min(HELD_BYTES, max(512, int(rate * EVERY_S))) if limited and rate != float("inf") else HELD_BYTES
            if not (piece := source.recv(most)):
                break
            sink.sendall(piece)
            if limited:
                due = max(due, time.monotonic() - EVERY_S) + len(piece) / rate
                time.sleep(max(0.0, due - time.monotonic()))
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(near, port):
    far = socket.socket()
    small(far)
    with near, far:
        try:
            far.connect(("127.0.0.1", port))
        except OSError:
            return
        up = threading.Thread(target=carry, args=(near, far, False), daemon=True)
        up.start()
        carry(far, near, True)
        up.join()


def accept(server, port):
    while True:
        near, _ = server.accept()
        threading.Thread(target=serve, args=(near, port), daemon=True).start()


def main():
    global rate
    server = socket.socket()
    small(server)
    server.bind(("127.0.0.1", 0))
    server.listen(64)
    print(server.getsockname()[1], flush=True)
    threading.Thread(target=accept, args=(server, int(sys.argv[1])), daemon=True).start()
    for line in sys.stdin:
        rate = float(line)


if __name__ == "__main__":
    main()
