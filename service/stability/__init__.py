"""How stable a prediction is: measures, verdicts and their rolling window. Pure numpy."""
