"""A command of `repatria` is a module-level click command in a module of this package; there is no list of them."""
