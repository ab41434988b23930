//! Whether the connection to a broker stands.
//!
//! A request whose connection was lost would be waited for until it times out; who waits is told
//! at once instead, and who asks anew waits until the connection is back.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::LogError;

/// Seen by who asks.
#[derive(Clone)]
pub(super) struct Link(watch::Receiver<State>);

/// Held by who hears of the connection.
pub(super) struct Teller(watch::Sender<State>);

#[derive(Clone, Copy)]
struct State {
    up: bool,
    losses: u64,
}

pub(super) fn link() -> (Teller, Link) {
    let (told, seen) = watch::channel(State { up: true, losses: 0 });
    (Teller(told), Link(seen))
}

impl Teller {
    pub(super) fn up(&self) {
        self.0.send_modify(|state| state.up = true);
    }

    pub(super) fn down(&self) {
        self.0.send_modify(|state| *state = State { up: false, losses: state.losses + 1 });
    }
}

impl Link {
    /// An answer, or the news that the connection was lost while it was waited for.
    pub(super) async fn unless_cut<T>(
        &self,
        answer: impl Future<Output = Result<T, LogError>>,
    ) -> Result<T, LogError> {
        let mut seen = self.0.clone();
        let losses = seen.borrow_and_update().losses;
        tokio::select! {
            biased;
            answer = answer => answer,
            _ = seen.wait_for(|state| state.losses != losses) => {
                Err(LogError::Unavailable("the connection was lost".to_owned()))
            }
        }
    }

    /// Waits for a lost connection to come back, but no longer than this.
    pub(super) async fn stands(&self, wait: Duration) {
        let mut seen = self.0.clone();
        // Whoever asks next learns if it did not.
        let _ = timeout(wait, seen.wait_for(|state| state.up)).await;
    }
}
