//! The door of the reading room: who comes in, and how a statement of theirs is called off.
//!
//! Nothing is answered before SCRAM has succeeded. The wire library opens a connection after any
//! error that is not fatal, so everything that fails before is made fatal here, and each
//! connection that came in is marked: [`is_in`] is asked again before every statement.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion_postgres::pgwire::api::auth::sasl::scram::random_nonce;
use datafusion_postgres::pgwire::api::auth::{
    DefaultServerParameterProvider, StartupHandler, finish_authentication, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::api::{
    ClientInfo, ErrorHandler, METADATA_USER, PgWireConnectionState, PidSecretKeyGenerator,
    RandomPidSecretKeyGenerator,
};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::cancel::CancelRequest;
use datafusion_postgres::pgwire::messages::startup::{Authentication, PasswordMessageFamily};
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use futures::{Sink, SinkExt};
use tokio::sync::watch;

use super::scram::{Exchange, Users};

const SCRAM: &str = "SCRAM-SHA-256";

/// A connection whose user has proved who they are.
pub struct Inside {
    stop: watch::Sender<u64>,
    /// Held for its end: the connection is forgotten with it.
    _place: Place,
}

impl Inside {
    /// Changes when the client calls off what is running now.
    pub fn stop(&self) -> watch::Receiver<u64> {
        self.stop.subscribe()
    }
}

/// Whether this connection's user has proved who they are.
pub fn is_in<C: ClientInfo + ?Sized>(client: &C) -> bool {
    client.session_extensions().get::<Inside>().is_some()
}

/// How a client names a connection when it calls off a statement.
type Name = (i32, Vec<u8>);

/// Connections by name, for calling off.
#[derive(Default)]
pub struct Connections {
    stops: Mutex<BTreeMap<Name, watch::Sender<u64>>>,
}

/// A connection's entry; it goes when the connection does.
struct Place {
    connections: Arc<Connections>,
    name: Name,
}

impl Drop for Place {
    fn drop(&mut self) {
        let stops = &self.connections.stops;
        stops.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

#[async_trait]
impl CancelHandler for Connections {
    async fn on_cancel_request(&self, request: CancelRequest) {
        let name = (request.pid, request.secret_key.to_bytes().to_vec());
        let stops = self.stops.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stop) = stops.get(&name) {
            stop.send_modify(|calls| *calls += 1);
        }
    }
}

/// Lets one connection in, or not.
pub struct Door {
    users: Arc<Users>,
    connections: Arc<Connections>,
    pids: Arc<RandomPidSecretKeyGenerator>,
    exchange: tokio::sync::Mutex<Option<Exchange>>,
}

impl Door {
    pub fn new(
        users: Arc<Users>,
        connections: Arc<Connections>,
        pids: Arc<RandomPidSecretKeyGenerator>,
    ) -> Self {
        Door { users, connections, pids, exchange: tokio::sync::Mutex::new(None) }
    }

    /// One message of the exchange: what to answer, and whether that was the last.
    async fn answer(
        &self,
        user: &str,
        message: PasswordMessageFamily,
    ) -> PgWireResult<(Authentication, bool)> {
        let mut exchange = self.exchange.lock().await;
        let wrong = || PgWireError::InvalidPassword(user.to_owned());
        if let Some(begun) = exchange.take() {
            let said = message.into_sasl_response()?.data;
            let last = std::str::from_utf8(&said).ok().and_then(|said| begun.finish(said));
            return Ok((Authentication::SASLFinal(last.ok_or_else(wrong)?.into()), true));
        }
        let first = message.into_sasl_initial_response()?;
        if first.auth_method != SCRAM {
            return Err(PgWireError::UnsupportedSASLAuthMethod(first.auth_method));
        }
        let said = first.data.unwrap_or_default();
        let verifier = self.users.verifier(user);
        let begun = std::str::from_utf8(&said)
            .ok()
            .and_then(|said| Exchange::begin(said, verifier, &random_nonce()))
            .ok_or_else(|| PgWireError::InvalidScramMessage("client-first-message".into()))?;
        let answer = Authentication::SASLContinue(begun.server_first().to_owned().into());
        *exchange = Some(begun);
        Ok((answer, false))
    }

    fn let_in<C: ClientInfo>(&self, client: &mut C) {
        let (pid, key) = self.pids.generate(client);
        let name = (pid, key.to_bytes().to_vec());
        client.set_pid_and_secret_key(pid, key);
        let (stop, _) = watch::channel(0);
        let stops = &self.connections.stops;
        stops.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), stop.clone());
        let place = Place { connections: self.connections.clone(), name };
        client.session_extensions().insert(Inside { stop, _place: place });
    }
}

#[async_trait]
impl StartupHandler for Door {
    async fn on_startup<C>(
        &self,
        client: &mut C,
        message: PgWireFrontendMessage,
    ) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let message = match message {
            PgWireFrontendMessage::Startup(startup) => {
                protocol_negotiation(client, &startup).await?;
                save_startup_parameters_to_metadata(client, &startup);
                client.set_state(PgWireConnectionState::AuthenticationInProgress);
                let offer = Authentication::SASL(vec![SCRAM.to_owned()]);
                client.send(PgWireBackendMessage::Authentication(offer)).await?;
                return Ok(());
            }
            PgWireFrontendMessage::PasswordMessageFamily(message) => message,
            _ => return Err(PgWireError::InvalidStartupMessage),
        };
        let user = client.metadata().get(METADATA_USER).cloned();
        let user = user.ok_or(PgWireError::UserNameRequired)?;
        let (answer, last) = self.answer(&user, message).await?;
        client.send(PgWireBackendMessage::Authentication(answer)).await?;
        if !last {
            return Ok(());
        }
        self.let_in(client);
        let mut told = DefaultServerParameterProvider::default();
        told.is_superuser = false;
        told.default_transaction_read_only = true;
        finish_authentication(client, &told).await
    }
}

/// Makes everything fatal that fails at the door.
pub struct Sentry;

impl ErrorHandler for Sentry {
    fn on_error<C: ClientInfo>(&self, client: &C, error: &mut PgWireError) {
        if is_in(client) {
            return;
        }
        let own = std::mem::replace(error, PgWireError::UserNameRequired);
        let mut info = ErrorInfo::from(own);
        info.severity = "FATAL".to_owned();
        *error = PgWireError::UserError(Box::new(info));
    }
}
