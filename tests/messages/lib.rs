//! Only tests: the messages of the derives.
