"""The settings this process was started with."""

from changes.base.settings import Settings
from changes.base.slot import Slot

settings: Slot[Settings] = Slot("settings")
