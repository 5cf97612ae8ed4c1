"""Starting and feeding the servers under test."""
