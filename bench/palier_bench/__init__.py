"""The benchmark: CPU time per request of palier, of its peers and of a blind forwarder."""
