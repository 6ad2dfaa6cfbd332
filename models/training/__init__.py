"""What only training needs: tasks and losses of every family, recordings, fitted tables."""
