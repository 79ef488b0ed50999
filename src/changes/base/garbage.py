"""The search for garbage that refers to itself, which Python does every few hundred objects.

It looks at all that lives, and what a program has loaded lives as long as the program: half a million
objects here. A full search then stops all threads for a tenth of a second, in the middle of a request.
"""

import gc

# So many objects more than were given back, until the newest are looked at.
NEW_OBJECTS = 10_000


def leave_out_what_is_here() -> None:
    """Called when all is loaded, before the first request."""
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])
