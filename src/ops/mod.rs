//! One op a file: shape rule, gradient rule, kernel launch.
