"""A ZIP that lists very many files, all alike and empty, without the time it takes to pack them."""

import struct

ENTRY = struct.Struct("<4s6H3I5H2I")
END_64 = struct.Struct("<4sQ2H2I4Q")
PLACE_OF_END_64 = struct.Struct("<4sIQI")
END = struct.Struct("<4s4H2IH")
NAME = b"a"


def listing(count: int) -> bytes:
    none = [0] * 6
    entry = ENTRY.pack(b"PK\1\2", 45, 20, 0, 0, 0, 0, 0, 0, 0, len(NAME), *none[:4], 0, 0) + NAME
    entries = entry * count
    end_64 = END_64.pack(b"PK\6\6", END_64.size - 12, 45, 45, 0, 0, count, count, len(entries), 0)
    place = PLACE_OF_END_64.pack(b"PK\6\7", 0, len(entries), 1)
    end = END.pack(b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return entries + end_64 + place + end
