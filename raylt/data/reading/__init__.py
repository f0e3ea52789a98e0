"""Reading what users bring: folders, tables and lists of images, and every kind of image file."""
