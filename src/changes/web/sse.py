"""Events as a browser takes them from a stream that goes on."""

import json

BEAT = b": still here\n\n"


def event(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
