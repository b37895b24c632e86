"""Train derivative-controlled networks, and serve every prediction together with how stable it is."""
