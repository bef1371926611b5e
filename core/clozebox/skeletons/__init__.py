"""What `clozebox plugins new` writes: a working plugin of each kind, to be filled with an idea."""
