//! The default of every setting: what `deploy/settings.toml` shows, held equal by a test.

use super::{
    Broker, CaseUnit, Dispatch, KeyFile, Level, Limits, Loan, LoanIdentity, LogFormat, LogLines,
    MetricsRoom, Serve, Settle, Shards, Snapshots, Step,
};

impl Default for Broker {
    fn default() -> Self {
        Broker {
            url: "nats://127.0.0.1:4222".into(),
            credentials: String::new(),
            user: String::new(),
            password_file: String::new(),
            tls: false,
            replicas: 1,
        }
    }
}

impl Default for Shards {
    fn default() -> Self {
        Shards { count: 8 }
    }
}

impl Default for Loan {
    fn default() -> Self {
        Loan { key: LoanIdentity::Loan }
    }
}

impl Default for Dispatch {
    fn default() -> Self {
        Dispatch {
            case: CaseUnit::Borrower,
            value_min: 0,
            switch_margin: 1_000,
            horizon_minutes: 1_440,
        }
    }
}

impl Default for Settle {
    fn default() -> Self {
        Settle { close_after_days: 3 }
    }
}

impl Default for Step {
    fn default() -> Self {
        Step { messages_max: 4_096, bytes_max: 16 << 20 }
    }
}

impl Default for KeyFile {
    fn default() -> Self {
        KeyFile { file: ".recoup/key".into() }
    }
}

impl Default for Snapshots {
    fn default() -> Self {
        Snapshots { url: ".recoup/snapshots".into(), every_seconds: 60 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits { memory_bytes: 0, ahead_messages: 64, lines_per_second: 0 }
    }
}

impl Default for Serve {
    fn default() -> Self {
        Serve { listen: "127.0.0.1:5433".into(), users_file: ".recoup/users".into() }
    }
}

impl Default for MetricsRoom {
    fn default() -> Self {
        MetricsRoom { listen: "127.0.0.1:9464".into() }
    }
}

impl Default for LogLines {
    fn default() -> Self {
        LogLines { format: LogFormat::Text, level: Level::Info }
    }
}
