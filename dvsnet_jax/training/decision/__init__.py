"""Stage 3 (paper, section 3.4): the decision network, its training set, and what it is worth."""
