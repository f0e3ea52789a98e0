"""Images in, batches out, on the device."""
