"""The rules: pure functions and values. Time and ids are arguments; nothing here can block or fail by chance."""
