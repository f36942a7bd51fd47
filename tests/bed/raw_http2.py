"""HTTP/2 frame by frame, for what no library of a client would send."""

import socket
import struct

from binding.hooks import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW_SIZE = 4


def connected(server):
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(10)
    try:
        raw.connect(server.path)
    except OSError:
        raw.close()
        raise
    return raw


def frames(raw):
    """Yield kind, flags, stream and payload of what the server sends, until it hangs up."""
    data = b""
    while True:
        while len(data) < 9 or len(data) < 9 + int.from_bytes(data[:3], "big"):
            more = raw.recv(65536)
            if not more:
                return
            data += more
        length = int.from_bytes(data[:3], "big")
        yield data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + length]
        data = data[9 + length :]


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def headers(path=b"/a.B/Echo", kind=b"application/grpc"):
    return hpack.encode([(b":method", b"POST"), (b":path", path), (b"content-type", kind)])


def setting(name, value):
    return frame(SETTINGS, 0, 0, struct.pack(">HI", name, value))


def request(stream, message=b"", path=b"/a.B/Echo"):
    """Return the frames of a whole call."""
    body = struct.pack(">BI", 0, len(message)) + message
    parts = [body[at : at + 16_384] for at in range(0, len(body), 16_384)]
    said = frame(HEADERS, END_HEADERS, stream, headers(path))
    for part in parts[:-1]:
        said += frame(DATA, 0, stream, part)
    return said + frame(DATA, END_STREAM, stream, parts[-1])
