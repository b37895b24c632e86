"""How fast the service answers, beside other ways of serving the same model, in one run."""
