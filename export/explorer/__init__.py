"""The page that `export/serve.py --explore` serves beside the REST contract: a hand's code, touched in a browser."""
