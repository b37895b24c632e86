"""Compares integrated gradients with Captum's, by how well they add up and how long they take."""
