"""What people start: the command line, the page, the camera."""
