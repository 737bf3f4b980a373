//! Writes RDB bytes for tests, independently of the reader.
