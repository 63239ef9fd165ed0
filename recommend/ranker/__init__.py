"""The ranker: a small network that puts a list's candidates in order, learned from the log.

features → examples → training → network → store: what is told of a candidate, lists of the
past with what was bought afterwards, how the network learns from them, how it scores, and
which one is live. habits and links are what a ranker knows of items, learned at the same time;
looks is what it must not learn, the place at which a list had shown an item.
Serving knows features, links, network and store only, and loads numpy, not torch.
"""
