"""Pages of the documentation that are made from the code, the parsers and the reports when the site is built."""
