"""The graph that certifies: sound bounds of a network's scores over boxes of inputs."""
