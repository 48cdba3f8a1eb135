"""Readers of one's own recordings: `read` gives a `Recording`, whatever device wrote the file."""

from kmerl.recordings.in_memory import from_array
from kmerl.recordings.opening import Kind, kinds, read
from kmerl.recordings.recording import Person, RecordError, Recording

__all__ = ["Kind", "Person", "RecordError", "Recording", "from_array", "kinds", "read"]
