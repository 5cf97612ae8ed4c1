"""An Exchange ActiveSync client for the tests: its own WBXML, its own HTTP, nothing of the server's code."""
