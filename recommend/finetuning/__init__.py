"""Finetuning: the text encoder is taught by what the shop's own shoppers chose together.

pairs → contrast → adapter, layers → judgement → attempt → store: texts whose items were chosen one
after another, the loss that brings them together, the two things that can be taught, how well what
was chosen next is then found, one attempt with its gate, and which of them is live. How a text is
encoded with what was learned is recommend.encoders.tuned, which loads none of this.
"""
