"""What is around the pages: the Dash application, the middleware before it, static files and the mount."""
