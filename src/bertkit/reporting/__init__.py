"""Numbers to pages: figures, report."""
