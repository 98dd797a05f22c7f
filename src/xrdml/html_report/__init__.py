"""One HTML file, without anything from the network, that shows a result or a training run."""
