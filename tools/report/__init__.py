"""What a reader sees: tables, plots, HTML pages, the slider, the side-by-side sheet."""
