"""Quality: our lists and those of the libraries that a shop would otherwise pick, on one split.

Ours come from the commands that anybody has, into an empty home; theirs from an environment of
their own. All see the same facts, are judged by the same shoppers' next deeds over the whole
catalogue, and each may choose its settings on a window before the cut, never on what judges.
"""
