//! What one statement may take: time, rows, memory; and that it sees one moment of the log.
//!
//! Every plan that leaves the planner is wrapped, whichever way the statement came in: its stream
//! runs in a task of its own, on threads of its own, and ends with an error when the time is up,
//! when the client calls it off, or when it has said too many rows. Ending drops the task, and
//! with it every operator.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::guard::reading_only;
use super::room::{Moment, Room};

type Result<T, E = DataFusionError> = std::result::Result<T, E>;

tokio::task_local! {
    /// The statement that this task answers.
    pub static STATEMENT: Arc<Statement>;
}

/// A statement being answered.
pub struct Statement {
    pub ends: Instant,
    /// Changes when the client calls the statement off, and goes when the client does.
    pub stop: watch::Receiver<u64>,
    /// What all of its tables show, once the first was asked.
    moment: Mutex<Option<Arc<Moment>>>,
}

impl Statement {
    pub fn new(ends: Instant, stop: watch::Receiver<u64>) -> Self {
        Statement { ends, stop, moment: Mutex::default() }
    }

    fn moment(&self, room: &Room) -> Arc<Moment> {
        let mut moment = self.moment.lock().unwrap_or_else(PoisonError::into_inner);
        moment.get_or_insert_with(|| Arc::new(room.moment())).clone()
    }

    /// Whether the statement may go on.
    pub fn check(&self) -> Result<(), Ended> {
        if self.stop.has_changed().unwrap_or(true) {
            return Err(Ended::Called);
        }
        if self.ends <= Instant::now() { Err(Ended::Late) } else { Ok(()) }
    }
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Statement {{ ends: {:?} }}", self.ends)
    }
}

/// The moment that the statement of this task sees; without a statement, now.
pub fn moment(room: &Room) -> Arc<Moment> {
    let seen = STATEMENT.try_with(|statement| statement.moment(room));
    seen.unwrap_or_else(|_| Arc::new(room.moment()))
}

/// Why a statement was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    #[error("canceling statement due to statement timeout")]
    Late,
    #[error("canceling statement due to user request")]
    Called,
    #[error("the answer has more than {0} rows; ask for fewer with WHERE, LIMIT or GROUP BY")]
    Long(usize),
}

/// Plans as DataFusion does, and bounds the plan.
#[derive(Debug)]
pub struct Planner {
    pub rows_max: usize,
    pub timeout: Duration,
    /// Where plans run: not where connections are answered, so that time is kept there.
    pub queries: Handle,
}

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        reading_only().verify_plan(plan)?;
        let planner = DefaultPhysicalPlanner::default();
        let planned = planner.create_physical_plan(plan, session).await?;
        let input = match planned.output_partitioning().partition_count() {
            1 => planned,
            _ => Arc::new(CoalescePartitionsExec::new(planned)) as Arc<dyn ExecutionPlan>,
        };
        let queries = self.queries.clone();
        let (rows_max, timeout) = (self.rows_max, self.timeout);
        Ok(Arc::new(Bounded { input, rows_max, timeout, queries }))
    }
}

#[derive(Debug)]
struct Bounded {
    input: Arc<dyn ExecutionPlan>,
    rows_max: usize,
    timeout: Duration,
    queries: Handle,
}

impl DisplayAs for Bounded {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bounded: rows_max={}", self.rows_max)
    }
}

impl ExecutionPlan for Bounded {
    fn name(&self) -> &str {
        "Bounded"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return Err(DataFusionError::Internal("one plan is bounded at a time".into()));
        };
        let queries = self.queries.clone();
        let (rows_max, timeout) = (self.rows_max, self.timeout);
        Ok(Arc::new(Bounded { input, rows_max, timeout, queries }))
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (send, batches) = mpsc::channel(2);
        let input = self.input.clone();
        let task = self.queries.spawn(async move {
            match input.execute(partition, context) {
                Err(error) => drop(send.send(Err(error)).await),
                Ok(mut stream) => {
                    while let Some(batch) = stream.next().await {
                        if send.send(batch).await.is_err() {
                            return;
                        }
                    }
                }
            }
        });
        let statement =
            STATEMENT.try_with(|statement| (statement.ends, Some(statement.stop.clone())));
        let (ends, stop) = statement.unwrap_or((Instant::now() + self.timeout, None));
        let run = Run { task, batches, ends, stop, rows: 0, rows_max: self.rows_max };
        let stream = futures::stream::unfold(Some(run), |run| async move {
            let mut run = run?;
            match run.next().await {
                Ok(None) => None,
                Ok(Some(batch)) => Some((Ok(batch), Some(run))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }
}

/// A plan that runs, and what is left to it.
struct Run {
    task: JoinHandle<()>,
    batches: mpsc::Receiver<Result<RecordBatch>>,
    ends: Instant,
    stop: Option<watch::Receiver<u64>>,
    rows: usize,
    rows_max: usize,
}

impl Run {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let ended = |why| DataFusionError::External(Box::new(why));
        let called = async {
            match &mut self.stop {
                // Its sender goes with the connection, and so does the answer.
                Some(stop) => stop.changed().await.map_or((), |()| ()),
                None => std::future::pending().await,
            }
        };
        let batch = tokio::select! {
            biased;
            () = called => return Err(ended(Ended::Called)),
            () = tokio::time::sleep_until(self.ends) => return Err(ended(Ended::Late)),
            batch = self.batches.recv() => batch.transpose()?,
        };
        self.rows += batch.as_ref().map_or(0, RecordBatch::num_rows);
        if self.rows > self.rows_max {
            return Err(ended(Ended::Long(self.rows_max)));
        }
        Ok(batch)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.task.abort();
    }
}
