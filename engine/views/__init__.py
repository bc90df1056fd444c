"""From canonical commands to views: what an entity looks like now, and what a command changes about it.

Every field of an entity remembers the position of the command that wrote it. A command's position is that of
the first command with its commandkey, so a corrected replay overtakes its own earlier attempt and nothing newer.
"""

from engine.views.commands import Received, Unprojectable, read_command
from engine.views.entities import Entity, EntityKey
from engine.views.events import Event, events_of
from engine.views.fold import Change, Folded, fold, keys_of

__all__ = [
    "Change", "Entity", "EntityKey", "Event", "Folded", "Received", "Unprojectable",
    "events_of", "fold", "keys_of", "read_command",
]  # fmt: skip
