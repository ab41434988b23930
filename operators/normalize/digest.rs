//! One number for what a fact says.
//!
//! BLAKE2b with 8 bytes of output, read big endian, over 23 texts joined by the byte 0x1f, in
//! this order; a null is an empty text:
//!
//! 1. `kind`: `report`, `payment`, `reversal` …
//! 2. `id`: the `event_id` or `payment_id`
//! 3. `at`: the `event_time` or `paid_at` in microseconds since 1970-01-01T00:00:00Z
//! 4. `loan_id`  5. `lender_id` (the record's, else the subject's)  6. `borrower_id`
//! 7. always empty: once the token of the national id  8. `product`  9. `province`  10. `currency`
//! 11. to 14. `principal`, `interest`, `penalty`, `fee` in cents
//! 15. `days_past_due`
//! 16. `origination_date`, 17. `due_date` in days since 1970-01-01
//! 18. the masked phone  19. `score`  20. `contactable`: `true` or `false`
//! 21. `amount` in cents  22. `channel`  23. `reverses`
//!
//! A movement that names `reason`, `payer` or `authority` has these three behind them, as numbers
//! 24 to 26; one that names none has the digest that it had before there were any.
//!
//! A report with a schedule has `instalments`, as it was written, as number 24.
//!
//! Numbers are decimal, with a minus where they are below zero. Numbers 11 to 20 are of reports
//! only, number 21 of movements only, all others of both.
//!
//! The first four hexadecimal digits of the tokens of national id and phone, where there are any,
//! are XORed into the last 16 bits. So the key, which `batch` does not have, decides only between
//! copies that differ in nothing but what is hidden of a person: no amount hangs on it.

use blake2::Blake2b;
use blake2::digest::Digest;
use blake2::digest::consts::U8;

use super::person::Token;

/// The texts of one fact, in order.
#[derive(Default)]
pub(super) struct Content {
    bytes: Vec<u8>,
    /// What decides between copies that are alike in all texts.
    tie: u16,
}

impl Content {
    pub(super) fn begin(&mut self) {
        self.bytes.clear();
        self.tie = 0;
    }

    /// Takes a token, which is hexadecimal.
    pub(super) fn tie(&mut self, token: &Token) {
        let digits = std::str::from_utf8(&token[..4]).unwrap_or_default();
        self.tie ^= u16::from_str_radix(digits, 16).unwrap_or_default();
    }

    #[inline]
    pub(super) fn text(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.bytes.push(0x1f);
    }

    #[inline]
    pub(super) fn null(&mut self) {
        self.bytes.push(0x1f);
    }

    #[inline]
    pub(super) fn number(&mut self, number: Option<i64>) {
        if let Some(number) = number {
            self.decimal(number);
        }
        self.bytes.push(0x1f);
    }

    fn decimal(&mut self, number: i64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = number.unsigned_abs();
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            self.bytes.push(b'-');
        }
        self.bytes.extend_from_slice(&digits[at..]);
    }

    /// The digest of what was written, without the separator behind the last text.
    pub(super) fn digest(&self) -> u64 {
        let content = self.bytes.split_last().map_or(&[][..], |(_, content)| content);
        u64::from_be_bytes(Blake2b::<U8>::digest(content).into()) ^ u64::from(self.tie)
    }
}
