"""From a prediction back to a reflection file."""
