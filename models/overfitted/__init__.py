"""Family `overfitted`: grids of integers and tiny networks, fitted to one picture."""
