"""HTTP and the web page: a verified artifact answers requests; knows the artifact and what inference counts."""
