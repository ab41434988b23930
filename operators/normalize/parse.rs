//! Texts become money, instants, days and whole numbers, strictly: what is not written as it must
//! be is `None`, and nothing overflows.

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// `-?[0-9]{1,13}\.[0-9]{2}`, in cents.
#[inline]
pub(crate) fn money(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (negative, bytes) = match bytes.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, bytes),
    };
    if bytes.len() < 4 || bytes.len() > 16 || bytes[bytes.len() - 3] != b'.' {
        return None;
    }
    let (whole, cents) = bytes.split_at(bytes.len() - 3);
    let cents = digits(whole)? * 100 + digits(&cents[1..])?;
    Some(if negative { -cents } else { cents })
}

/// A whole number of 32 bits, with an optional minus.
#[inline]
pub(super) fn integer(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    let (negative, bytes) = match bytes.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, bytes),
    };
    if bytes.is_empty() || bytes.len() > 10 {
        return None;
    }
    let value = digits(bytes)?;
    i32::try_from(if negative { -value } else { value }).ok()
}

/// A day as `YYYY-MM-DD`, or that of an instant in UTC, in days since 1970-01-01.
#[inline]
pub(crate) fn day(text: &str) -> Option<i32> {
    let days = match text.len() {
        10 => calendar(text.as_bytes())?,
        _ => instant(text)?.div_euclid(DAY),
    };
    i32::try_from(days).ok()
}

/// RFC 3339 with `Z` or an offset, or a plain day (its midnight UTC), in microseconds since 1970;
/// finer digits are cut off. Years 0001 to 9999, also in UTC.
#[inline]
pub(super) fn instant(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let days = calendar(bytes.get(..10)?)?;
    if bytes.len() == 10 {
        return Some(days * DAY);
    }
    let clock = bytes.get(10..19)?;
    if !matches!(clock[0], b'T' | b't') || clock[3] != b':' || clock[6] != b':' {
        return None;
    }
    let (hour, minute, second) = (two(&clock[1..3])?, two(&clock[4..6])?, two(&clock[7..9])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, rest) = fraction(&bytes[19..])?;
    let at = days * DAY + ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros;
    let at = at - offset(rest)? * 60_000_000;
    // 0001-01-01 and the end of 9999-12-31.
    (-719_162 * DAY..2_932_897 * DAY).contains(&at).then_some(at)
}

/// The microseconds of `.123456789`, if it is there, and what follows.
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = bytes.strip_prefix(b".") else { return Some((0, bytes)) };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let kept = count.min(6);
    let micros = digits(&rest[..kept])? * 10_i64.pow(6 - kept as u32);
    Some((micros, &rest[count..]))
}

/// The minutes of `Z`, `+HH:MM` or `-HH:MM`.
fn offset(bytes: &[u8]) -> Option<i64> {
    match bytes {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(&[*h1, *h2])?, two(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let minutes = hours * 60 + minutes;
            Some(if *sign == b'-' { -minutes } else { minutes })
        }
        _ => None,
    }
}

/// `YYYY-MM-DD` in days since 1970-01-01, by the Gregorian calendar carried back.
fn calendar(bytes: &[u8]) -> Option<i64> {
    if bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let year = digits(&bytes[..4])?;
    let (month, day) = (two(&bytes[5..7])?, two(&bytes[8..10])?);
    if year == 0 || month == 0 || month > 12 || day == 0 || day > length(year, month) {
        return None;
    }
    // A year that begins in March puts the leap day last, so that months have fixed places.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year / 4 - year / 100 + year / 400;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(365 * year + leaps + day_of_year - 719_468)
}

fn length(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[inline]
fn two(bytes: &[u8]) -> Option<i64> {
    let (tens, ones) = (bytes[0].wrapping_sub(b'0'), bytes[1].wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then_some(i64::from(tens) * 10 + i64::from(ones))
}

/// At most 18 digits; more never get here.
#[inline]
fn digits(bytes: &[u8]) -> Option<i64> {
    let mut value = 0;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(value)
}
