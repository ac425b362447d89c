"""Recognition: plain pixels in, words out."""
