"""A TCP proxy between an agent and its server that cuts, stalls, resets and delays: a bad line, anywhere.

It acts as a line does: what was sent while it stalls is not lost but late, unless the line is cut.
"""

import socket
import struct
import threading
import time
from contextlib import suppress
from functools import partial

PIECE_BYTES = 64 * 1024
# With this a close sends a reset instead of an end.
RESETS = struct.pack("ii", 1, 0)


class Proxy:
    def __init__(self, target: tuple[str, int]) -> None:
        self.delay_s = 0.0
        self._target = target
        self._changed = threading.Condition()
        self._is_stalled = self._is_mute = self._is_cut = self._is_over = False
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """Nothing gets through, and whoever tries hears so at once."""
        with self._changed:
            self._is_cut = True
        self._reset_all()

    def drop(self) -> None:
        """Half-dead: connections are accepted and kept, and nothing moves on them."""
        with self._changed:
            self._is_stalled = True

    def mute(self) -> None:
        """Questions get through, and their answers do not."""
        with self._changed:
            self._is_mute = True

    def reset(self) -> None:
        """Breaks every connection there is; the next ones are good."""
        self._reset_all()

    def mend(self) -> None:
        with self._changed:
            self._is_stalled = self._is_mute = self._is_cut = False
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        # Wakes the thread that accepts; closing alone does not.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        self._reset_all()

    def _reset_all(self) -> None:
        with self._changed:
            ended, self._open = self._open, set()
            self._changed.notify_all()
        for connection in ended:
            _reset(connection)

    def _accept(self) -> None:
        while not self._is_over:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=[near], daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        try:
            far = None if self._is_cut else socket.create_connection(self._target)
        except OSError:
            far = None
        if far is None:
            _reset(near)
            return
        with self._changed:
            self._open |= {near, far}
        for source, sink in ((near, far), (far, near)):
            pump = partial(self._pump, source, sink, are_answers=source is far)
            threading.Thread(target=pump, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, *, are_answers: bool) -> None:
        try:
            while piece := source.recv(PIECE_BYTES):
                self._wait_until_it_moves(source, are_answers=are_answers)
                if self.delay_s:
                    time.sleep(self.delay_s)
                sink.sendall(piece)
            self._wait_until_it_moves(source, are_answers=are_answers)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for connection in (source, sink):
                _reset(connection)

    def _wait_until_it_moves(self, source: socket.socket, *, are_answers: bool) -> None:
        def moves() -> bool:
            is_held = self._is_stalled or (are_answers and self._is_mute)
            return not is_held or self._is_over or source not in self._open

        with self._changed:
            self._changed.wait_for(moves)


def _reset(connection: socket.socket) -> None:
    """The thread that reads from it is woken by the end; the reset goes out with the last close."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETS)
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
