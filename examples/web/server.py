"""Serves ./site on $PORT until it is interrupted."""

import functools
import http.server
import os

handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="site")
address = ("127.0.0.1", int(os.environ.get("PORT", "8080")))

with http.server.ThreadingHTTPServer(address, handler) as server:
    print(f"listening on http://{address[0]}:{address[1]}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("stopped", flush=True)
