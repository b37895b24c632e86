"""Answers the open inference protocol by gRPC, beside the API: the same questions, limits, tokens and answers."""
