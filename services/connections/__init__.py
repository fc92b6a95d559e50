"""Ways to vendors: addresses, clients that calls share, sockets, and how long an answer may be."""
