"""What people start: the lesson, the command line, the page, the camera."""
