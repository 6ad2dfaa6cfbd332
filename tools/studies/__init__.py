"""The studies of tessera evaluate, a room each: rows, measure, study, page."""
