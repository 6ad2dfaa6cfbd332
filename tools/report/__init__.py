"""Output of studies: tables, plots, HTML pages, the slider, the side-by-side sheet."""
