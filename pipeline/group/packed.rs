//! Rows that were said, as the messages that carry them.

use bytes::Bytes;
use datafusion::arrow::record_batch::RecordBatch;

use crate::log::Outgoing;
use crate::post::PART;
use crate::rows::{self, Packing};

/// What the headers of ours may take of a message.
const HEADERS_ROOM: usize = 128;

/// Rows as messages of at most what the log takes, subject and headers included. Who hears them all
/// at once must know where they end; each says what its payload was.
pub fn packed(
    subject: &str,
    rows: &RecordBatch,
    packing: Packing,
    payload_max: usize,
) -> Vec<Outgoing> {
    if packing == Packing::Carried {
        let rows = Some(rows.clone());
        return vec![Outgoing { subject: subject.into(), rows, ..Outgoing::default() }];
    }
    let room = payload_max.saturating_sub(subject.len() + HEADERS_ROOM);
    let payloads = rows::encode(rows, packing, room);
    let of = payloads.len();
    let headers = |payload: &Bytes, at: usize| {
        let mut headers = vec![(rows::CHECK.to_string(), rows::check(payload))];
        if of > 1 {
            headers.push((PART.to_string(), format!("{at}/{of}")));
        }
        headers
    };
    let parts = payloads.into_iter().zip(1..);
    let message = |(payload, at)| Outgoing {
        subject: subject.into(),
        headers: headers(&payload, at),
        payload,
        ..Outgoing::default()
    };
    parts.map(message).collect()
}
