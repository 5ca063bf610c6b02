//! Tokens strictly rise, in the order in which their owners' writes took effect.

use zk_recipes::FencingToken;

/// That each value was written once, with a higher token than the one before.
pub(crate) fn tokens_rise_from_write_to_write(mut writes: Vec<(u64, FencingToken)>) {
    writes.sort_by_key(|(value, _)| *value);
    for pair in writes.windows(2) {
        let ((value, token), (next, later)) = (pair[0], pair[1]);
        assert!(value < next, "{value} was written twice");
        assert!(token < later, "{token} wrote {value} before {later}");
    }
}
