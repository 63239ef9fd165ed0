"""What follows: from the log to a list, and from what became of lists to better ones.

In the order in which data goes:

- counted: `fold` brings `projections` to the log's end, `proof` rebuilds and compares them;
- described: `embed` asks `encoders` and `images`, `vectors` keeps and switches, `finetuning` teaches;
- asked: `pipeline` goes from a request to a list, by `gathering` (the statement), `candidates`,
  `ordering`, `choice` (`rules`, `rerank`, `explore`), `reasons` and `receipts`;
- told: sources are their own modules where nothing is folded for them: `again`, `shoppers` (similar
  ones), `ranker.links`, `spaces.factors`, `spaces.sequence`; `silent` says which have nothing to say;
- learned: `learn` is the order of it all. `tune` searches weights, which `tunings` keeps, by the
  `blend`; `ranker.training` and `spaces.training` are the two loops that load torch, `spaces.learning`
  decides which spaces go live, `judging` which ranker;
- judged: `evaluate` for people (`evaluation`), `judging` for a ranker, `finetuning.judgement` for texts,
  all by `metrics` and `surely`; `split` makes the log as it was before;
- made again, or undone: `replay` and `travel`, `erase` and `person`.
"""
