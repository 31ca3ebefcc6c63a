"""Service: what Worldloom does, over HTTP. app.py puts it together, serve.py runs it, client.py calls it."""
