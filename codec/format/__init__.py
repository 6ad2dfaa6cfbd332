"""The container, every byte of FORMAT.md: chunks, header, index, writer, pipes, recovery."""
