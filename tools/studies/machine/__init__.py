"""What a classifier still sees after coding."""
