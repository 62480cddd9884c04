"""Parts that pages are put together from: components, charts, tables and forms, with their callbacks."""
