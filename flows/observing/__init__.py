"""Stored deliveries looked at again, off the path of requests: shadows of live revisions, and drift of payloads.

Nothing here is called while a request is answered. One process at a time reads deliveries back in batches behind a
position, at a bounded rate, and has a process of its own, which yields the processor to others, work on them.
"""
