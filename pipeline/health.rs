//! Three pages for whoever supervises a process: `/metrics`, `/live`, `/ready`.
//!
//! Live means that the process answers; ready that it has recovered what it owns and follows. They
//! show counts and states only, never a row (A15), and so need no password.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::Metrics;

/// What keeps a process from being ready; empty: it is. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    waits_for: Arc<Mutex<Vec<String>>>,
}

impl Readiness {
    /// Not ready until `what` is [`Readiness::done`].
    pub fn wait_for(&self, what: &str) {
        let mut waits = self.waits_for.lock().unwrap_or_else(PoisonError::into_inner);
        if !waits.iter().any(|one| one == what) {
            waits.push(what.into());
        }
    }

    pub fn done(&self, what: &str) {
        let mut waits = self.waits_for.lock().unwrap_or_else(PoisonError::into_inner);
        waits.retain(|one| one != what);
    }

    pub fn waits_for(&self) -> Vec<String> {
        self.waits_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Clone)]
struct Pages {
    metrics: Metrics,
    readiness: Readiness,
}

/// Answers from now on, in a task of its own; the address is the one it really has.
pub async fn serve(
    listen: &str,
    metrics: Metrics,
    readiness: Readiness,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let pages = Router::new()
        .route("/metrics", get(metrics_page))
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready_page))
        .with_state(Pages { metrics, readiness });
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, pages).await {
            tracing::warn!(%error, "health pages stopped");
        }
    });
    Ok(address)
}

async fn metrics_page(State(pages): State<Pages>) -> impl IntoResponse {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], pages.metrics.render())
}

async fn ready_page(State(pages): State<Pages>) -> impl IntoResponse {
    let waits = pages.readiness.waits_for();
    if waits.is_empty() {
        (StatusCode::OK, "ready\n".to_string())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("waits for {}\n", waits.join(", ")))
    }
}
