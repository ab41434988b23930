//! The relations as SQL sees them: the schema `public` with its views, and `recoup.shards`.
//!
//! A table is only a name until a statement is planned; then it is the rows of that statement's
//! moment, read without conversion and only in the columns that are asked for.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use recoup_operators::memory::table::Snapshot;

use super::answers::Views;
use super::bounds::moment;
use super::room::{Room, shards_schema};

/// Rows that a plan takes at a time.
const ROWS: usize = 8_192;

/// The schema `public`: every relation there is by now, and the program's views over them.
pub struct Public(pub Arc<Room>, pub Arc<Views>);

/// The schema `recoup`: what the program knows of itself.
pub struct Own(pub Arc<Room>);

impl fmt::Debug for Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Public")
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Own")
    }
}

#[async_trait]
impl SchemaProvider for Public {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.0.names();
        names.extend(self.1.names());
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(schema) = self.0.schema(name) else { return Ok(self.1.find(name)) };
        let live = Live { room: self.0.clone(), what: What::Relation(name.to_owned()), schema };
        Ok(Some(Arc::new(live)))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.schema(name).is_some() || self.1.find(name).is_some()
    }
}

#[async_trait]
impl SchemaProvider for Own {
    fn table_names(&self) -> Vec<String> {
        vec!["shards".to_owned()]
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if !self.table_exist(name) {
            return Ok(None);
        }
        let live = Live { room: self.0.clone(), what: What::Shards, schema: shards_schema() };
        Ok(Some(Arc::new(live)))
    }

    fn table_exist(&self, name: &str) -> bool {
        name == "shards"
    }
}

enum What {
    Relation(String),
    Shards,
}

struct Live {
    room: Arc<Room>,
    what: What,
    schema: SchemaRef,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Relation(name) => write!(f, "Live({name})"),
            What::Shards => f.write_str("Live(shards)"),
        }
    }
}

#[async_trait]
impl TableProvider for Live {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns: Vec<usize> = match projection {
            Some(columns) => columns.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        let moment = moment(&self.room);
        let rows = match &self.what {
            What::Shards => Snapshot::of(moment.shards().clone()),
            What::Relation(name) => match moment.relation(name) {
                Some(rows) => rows.as_ref().clone(),
                None => return Err(DataFusionError::Internal(format!("{name} has gone"))),
            },
        };
        let rows = Arc::new(rows.project(&columns)?);
        let schema = rows.schema().clone();
        let lanes = session.config().target_partitions().min(rows.parts()).max(1);
        let part = |lane: usize| lane * rows.parts() / lanes;
        let streams = (0..lanes).map(|lane| {
            let (from, to) = (part(lane), part(lane + 1));
            Arc::new(Lane { rows: rows.clone(), from, to }) as Arc<dyn PartitionStream>
        });
        let streams = streams.collect();
        Ok(Arc::new(StreamingTableExec::try_new(schema, streams, None, [], false, limit)?))
    }
}

/// Some parts of a relation, one after the other.
struct Lane {
    rows: Arc<Snapshot>,
    from: usize,
    to: usize,
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parts {}..{}", self.from, self.to)
    }
}

impl PartitionStream for Lane {
    fn schema(&self) -> &SchemaRef {
        self.rows.schema()
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.clone();
        let parts = (self.from..self.to).map(move |part| rows.part(part));
        let batches = parts.flat_map(slices).map(Ok);
        let stream = futures::stream::iter(batches);
        Box::pin(RecordBatchStreamAdapter::new(self.rows.schema().clone(), stream))
    }
}

fn slices(rows: RecordBatch) -> impl Iterator<Item = RecordBatch> {
    let count = rows.num_rows();
    (0..count).step_by(ROWS).map(move |from| rows.slice(from, ROWS.min(count - from)))
}
