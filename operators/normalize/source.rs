//! Where a record came from, for people: `intake:41:7`.

use super::STREAM;

/// Writes sources; what the records of one message share is written once.
#[derive(Default)]
pub(super) struct Sources {
    seq: Option<u64>,
    text: String,
    shared: usize,
}

impl Sources {
    #[inline]
    pub(super) fn name(&mut self, seq: u64, row: u32) -> &str {
        if self.seq == Some(seq) {
            self.text.truncate(self.shared);
        } else {
            self.text.clear();
            self.text.push_str(STREAM);
            self.text.push(':');
            decimal(&mut self.text, seq);
            self.text.push(':');
            self.shared = self.text.len();
            self.seq = Some(seq);
        }
        decimal(&mut self.text, u64::from(row));
        &self.text
    }
}

fn decimal(text: &mut String, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend(digits[at..].iter().map(|digit| char::from(*digit)));
}
