//! Only tests; see the `tests` folder.
