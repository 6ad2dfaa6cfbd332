"""`tessera bench`: speeds, memory and sizes beside installed peers."""
