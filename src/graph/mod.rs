//! Static graphs of tensor ops, their gradients, and plans that run them.
