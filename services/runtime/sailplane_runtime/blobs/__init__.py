"""The BlobStore port's implementations, and the HTTP side of signed URLs."""
