"""Thumbnails: pages of a document's file as JPEGs, and PDFs with fewer bytes."""
