//! Bins of prices: 128 to an octave, so that a bin is less than 1 % wide; below 256 cents each
//! price has its own. With exact counts and sums in each they are all that the solver needs.

/// Bins of one octave, and the cents below which each price has its own twice over.
const OCTAVE: i64 = 128;
const LAST_SHIFT: i64 = 56;

/// The bin of a price in cents; what is worth nothing is in bin 0.
pub fn bin(price: i64) -> i64 {
    let price = price.max(0) as u64;
    if price < 2 * OCTAVE as u64 {
        return price as i64;
    }
    let shift = LAST_SHIFT - i64::from(price.leading_zeros());
    shift * OCTAVE + (price >> shift) as i64
}

/// The first price of a bin, in cents.
pub fn floor(bin: i64) -> i64 {
    let bin = bin.clamp(0, LAST_SHIFT * OCTAVE - 1);
    if bin < 2 * OCTAVE {
        return bin;
    }
    let shift = bin / OCTAVE - 1;
    (bin - shift * OCTAVE) << shift
}
