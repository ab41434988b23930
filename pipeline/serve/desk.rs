//! Where statements are answered: the wire library's handlers, each statement with its bounds.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use datafusion_postgres::arrow_pg::datatypes::arrow_schema_to_pg_fields;
use datafusion_postgres::hooks::QueryHook;
use datafusion_postgres::hooks::cursor::CursorStatementHook;
use datafusion_postgres::hooks::set_show::SetShowHook;
use datafusion_postgres::hooks::transactions::TransactionStatementHook;
use datafusion_postgres::pgwire::api::auth::StartupHandler;
use datafusion_postgres::pgwire::api::cancel::CancelHandler;
use datafusion_postgres::pgwire::api::portal::Portal;
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use datafusion_postgres::pgwire::api::results::{DescribePortalResponse, Response};
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{
    ClientInfo, ClientPortalStore, ErrorHandler, PgWireServerHandlers, RandomPidSecretKeyGenerator,
};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::{DfSessionService, Parser};
use futures::{Sink, StreamExt};
use prometheus::HistogramTimer;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Options;
use super::bounds::{Ended, STATEMENT, Statement};
use super::door::{Connections, Door, Inside, Sentry};
use super::guard::{Guard, told};
use super::scram::Users;
use crate::metrics::Metrics;

/// Where the hook of `SET statement_timeout` keeps it, in milliseconds.
const OWN_TIMEOUT: &str = "statement_timeout_ms";

/// Answers statements of every connection.
pub struct Desk {
    context: Arc<SessionContext>,
    service: DfSessionService,
    timeout: Duration,
    metrics: Metrics,
}

impl Desk {
    pub fn new(context: Arc<SessionContext>, options: &Options) -> Self {
        let hooks: Vec<Arc<dyn QueryHook>> = vec![
            Arc::new(Guard),
            Arc::new(CursorStatementHook),
            Arc::new(SetShowHook),
            Arc::new(TransactionStatementHook),
        ];
        let service = DfSessionService::new_with_hooks(context.clone(), hooks);
        let (timeout, metrics) = (options.statement_timeout, options.metrics.clone());
        Desk { context, service, timeout, metrics }
    }

    /// A statement begins now. A client may shorten its time, not lengthen it.
    fn begin<C: ClientInfo>(&self, client: &C) -> Arc<Statement> {
        let own = client.metadata().get(OWN_TIMEOUT).and_then(|text| text.parse().ok());
        let timeout = own.map(Duration::from_millis).unwrap_or(self.timeout).min(self.timeout);
        let inside = client.session_extensions().get::<Inside>();
        let stop = inside.map_or_else(|| watch::channel(0).1, |inside| inside.stop());
        Arc::new(Statement::new(Instant::now() + timeout, stop))
    }
}

#[async_trait]
impl SimpleQueryHandler for Desk {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let timer = Arc::new(self.metrics.asked());
        let statement = self.begin(client);
        let answer = SimpleQueryHandler::do_query(&self.service, client, query);
        let answers = STATEMENT.scope(statement, answer).await.map_err(plainly)?;
        Ok(answers.into_iter().map(|answer| finish(answer, &timer)).collect())
    }
}

#[async_trait]
impl ExtendedQueryHandler for Desk {
    type Statement = <DfSessionService as ExtendedQueryHandler>::Statement;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Parser> {
        self.service.query_parser()
    }

    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Self::Statement>,
        max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let timer = Arc::new(self.metrics.asked());
        let statement = self.begin(client);
        let answer = ExtendedQueryHandler::do_query(&self.service, client, portal, max_rows);
        let answer = STATEMENT.scope(statement, answer).await.map_err(plainly)?;
        Ok(finish(answer, &timer))
    }

    /// A declared cursor has no plan of its own any more, but clients ask for its columns, and
    /// psycopg falls over if there are none.
    async fn do_describe_portal<C>(
        &self,
        client: &mut C,
        portal: &Portal<Self::Statement>,
    ) -> PgWireResult<DescribePortalResponse>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let (query, plan) = &portal.statement.statement;
        if plan.is_some() {
            return self.service.do_describe_portal(client, portal).await;
        }
        let failed = |error| plainly(PgWireError::ApiError(Box::new(error)));
        let plan = self.context.state().create_logical_plan(query).await.map_err(failed)?;
        let columns = plan.schema().as_arrow();
        let fields = arrow_schema_to_pg_fields(columns, &portal.result_column_format, None)?;
        Ok(DescribePortalResponse::new(fields))
    }
}

/// Rows come while the answer is sent, and so do their errors; the timer ends with the last.
fn finish(response: Response, timer: &Arc<HistogramTimer>) -> Response {
    match response {
        Response::Query(mut answer) => {
            let timer = timer.clone();
            answer.data_rows = Box::pin(answer.data_rows.map(move |row| {
                let _timed = &timer;
                row.map_err(plainly)
            }));
            Response::Query(answer)
        }
        other => other,
    }
}

/// An engine's error with the code that Postgres gives to its like.
fn plainly(error: PgWireError) -> PgWireError {
    let PgWireError::ApiError(cause) = &error else { return error };
    let Some(cause) = cause.downcast_ref::<DataFusionError>() else { return error };
    let root = cause.find_root();
    let code = match root {
        DataFusionError::External(cause) => match cause.downcast_ref::<Ended>() {
            Some(why @ (Ended::Late | Ended::Called)) => return told("57014", why.to_string()),
            Some(why @ Ended::Long(_)) => return told("54000", why.to_string()),
            None => "XX000",
        },
        DataFusionError::ResourcesExhausted(_) => "53200",
        DataFusionError::SQL(..) | DataFusionError::Plan(_) => "42601",
        DataFusionError::SchemaError(..) => "42703",
        DataFusionError::NotImplemented(_) => "0A000",
        DataFusionError::ArrowError(..) | DataFusionError::Execution(_) => "22000",
        _ => "XX000",
    };
    let text = root.strip_backtrace();
    // Who asks has never heard of a plan.
    told(code, text.trim_start_matches("Error during planning: ").to_owned())
}

/// The handlers of one server, shared by its connections.
pub struct Handlers {
    pub desk: Arc<Desk>,
    pub users: Arc<Users>,
    pub connections: Arc<Connections>,
    pub pids: Arc<RandomPidSecretKeyGenerator>,
}

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        self.desk.clone()
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        self.desk.clone()
    }

    /// Asked once per connection: the exchange is the connection's own.
    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        let (users, connections) = (self.users.clone(), self.connections.clone());
        Arc::new(Door::new(users, connections, self.pids.clone()))
    }

    fn error_handler(&self) -> Arc<impl ErrorHandler> {
        Arc::new(Sentry)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        self.connections.clone()
    }
}
