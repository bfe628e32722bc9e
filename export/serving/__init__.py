"""A server that keeps TensorFlow Serving's REST contract, for machines without the real one.

command.py     the command export/serve.py
settings.py    what it may be told: address, limits, batching
app.py         requests and their answers (ASGI)
paths.py       what a request asks for
body.py        its body, within limits, unpacked
connection.py  HTTP connections: slow senders, damaged requests, how many there may be
versions.py    model folders watched, versions loaded and unloaded
servable.py    one loaded version
warmup.py      the requests that a model brings along
documents.py   JSON, as RapidJSON reads it
formats.py     predict requests and replies
tensors.py     JSON to arrays
writing.py     arrays to JSON
frames.py      the size of encoded frames, before anything decodes them
batching.py    concurrent requests run together
metrics.py     Prometheus
threads.py     work outside of the event loop
errors.py      what went wrong, as the contract says it
"""
