"""Winners and baseline over fresh seeds, and the test images."""
