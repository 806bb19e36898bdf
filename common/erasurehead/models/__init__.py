"""What is learnt: losses on rows, their gradients and the scores of a model."""
