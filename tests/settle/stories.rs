//! Small stories with their numbers worked out by hand.
