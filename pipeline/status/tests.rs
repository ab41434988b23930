//! Standings read from a log that holds cursors and refusals.
