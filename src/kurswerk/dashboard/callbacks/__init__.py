"""What pages are registered with: callbacks, pages, notifications and the query cache."""
