"""The suite: a client's answers -> sized hosts, volumes, ports, settings; pure but for reading and writing files."""
