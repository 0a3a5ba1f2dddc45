# SPDX-License-Identifier: LGPL-2.1-or-later
"""Events that are numbered, and the account of them: which have come, and whether what is missing was announced.

Event 2N is that the domain event-N was defined, and 2N + 1 that it was undefined. An event may be missing only where a
record says so: `connection` (lost, reopened) of its URI, or `dropped`, which has the number.
"""

NAME = "event-"
KINDS = {"Defined": 0, "Undefined": 1}


def number_of(record):
    """None: the record is no numbered event."""
    if record["event"] != "lifecycle" or not record["domain"].startswith(NAME):
        return None
    return 2 * int(record["domain"][len(NAME):]) + KINDS[record["type"]]


class Account:
    """Of one run of the program, from its records in their order."""

    def __init__(self, uris, records):
        self.last = dict.fromkeys(uris, -1)
        self.delivered = self.missing_at_losses = self.missing_where_dropped = self.announced_as_dropped = 0
        self.losses = dict.fromkeys(uris, 0)
        self.openings = dict.fromkeys(uris, 0)
        # A gap that a record has announced since the URI's last event.
        self._lost, self._dropped = set(), set()
        for record in records:
            self._add(record)

    def _add(self, record):
        if record["event"] == "dropped":
            self.announced_as_dropped += record["count"]
            self._dropped.update(self.last)
        elif record["event"] == "connection":
            counts = self.losses if record["state"] == "lost" else self.openings
            counts[record["uri"]] += 1
            if record["state"] != "opened":
                self._lost.add(record["uri"])
        elif number_of(record) is not None:
            self._add_event(record["uri"], number_of(record))

    def _add_event(self, uri, number):
        missing = number - self.last[uri] - 1
        assert missing >= 0, f"{uri}: event {number} comes after event {self.last[uri]}"
        if missing > 0 and uri in self._lost:
            self.missing_at_losses += missing
        elif missing > 0:
            assert uri in self._dropped, f"{uri}: no record says that {missing} events before {number} are missing"
            self.missing_where_dropped += missing
        self.last[uri] = number
        self.delivered += 1
        self._lost.discard(uri)
        self._dropped.discard(uri)
