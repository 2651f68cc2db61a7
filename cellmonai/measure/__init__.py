"""Numbers from label images: objects, matching, pixels, count errors."""
