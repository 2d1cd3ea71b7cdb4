"""What one task does, without Ray: train a network, recover a unit of images."""
