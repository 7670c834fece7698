//! Only tests: the errors of database clients, as the cache takes them.
