"""Tables as text, Markdown, CSV and HTML, and pictures; computes nothing."""
