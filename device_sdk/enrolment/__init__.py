"""How a device comes to be, and to belong to an owner: keys, root, certificate, broker."""
