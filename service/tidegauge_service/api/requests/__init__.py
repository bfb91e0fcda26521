"""How a request is read: who may send one, how large, how slow, in which form."""
