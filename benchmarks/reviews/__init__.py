"""Five-level reviews as ordered levels: what each method reaches from pooled word vectors and a sentence encoder."""
