"""Keys of personal fields in all forms of an event: a field keeps being personal under its earlier
names.
"""

from __future__ import annotations

from handrail.eventstore.codec import Codec
from handrail.evolution.changes import NewVersion
from handrail.personal import personal_names


def personal_keys(codec: Codec, event: type) -> frozenset[str]:
    """The names of the personal fields of an event, of dataclasses within it, and those of the
    fields that became them. A field that several took the place of has them all.
    """
    found = set(personal_names(event))
    for form in reversed(codec.forms(event.__name__)):
        change = codec.lineages.after.get(form)
        for one in reversed(change.fields) if isinstance(change, NewVersion) else ():
            if found & set(one.new):
                found |= set(one.old)
    return frozenset(found)
