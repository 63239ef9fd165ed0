"""Numbers as people read them: thousands parted, and a noun that agrees."""


def many(count: int, noun: str) -> str:
    """For example: 1 event, 12,000 events. For nouns that take an s."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
