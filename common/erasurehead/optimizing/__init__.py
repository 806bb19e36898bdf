"""From gradients to a better model: methods, step sizes, curvature."""
