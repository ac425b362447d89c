"""Documents: their content, words, labels, thumbnails, changes and deletion."""
