"""From recorded runs to delays that replay their stragglers."""
