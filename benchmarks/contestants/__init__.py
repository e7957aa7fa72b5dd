"""One module per tool; a worker process imports only its own."""
