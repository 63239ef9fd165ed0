"""Spaces: models in which items and shoppers lie, each item the nearer to a shopper the likelier.

histories → factors, network → ridge → store: what shoppers did in their order, from which two models
are learned; where items without events lie, by their texts; which version is live. `factors`
(implicit ALS) adds up what a shopper chose, in the statement that gathers; `sequence` (a transformer)
hears its order, so a worker keeps a vector of each shopper (see shoppers). Serving knows the two
sources and the store's names, and loads neither torch nor implicit.
"""
