"""How tight certificates are, and what they cost, beside other ways of bounding the same networks."""
