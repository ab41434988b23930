//! A relation inside a step: a place that holds the rows of the moment and reads as a table.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;

/// Rows by name. Filled by an operator or a statement, read by the plans that name it.
#[derive(Clone)]
pub struct Slot {
    schema: SchemaRef,
    rows: Arc<Mutex<RecordBatch>>,
}

impl Slot {
    pub fn new(schema: SchemaRef) -> Self {
        let rows = RecordBatch::new_empty(Arc::clone(&schema));
        Slot { schema, rows: Arc::new(Mutex::new(rows)) }
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of the moment.
    pub fn get(&self) -> RecordBatch {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts other rows in. They must have this slot's columns.
    pub fn set(&self, rows: RecordBatch) {
        assert!(rows.num_columns() == self.schema.fields().len(), "a slot keeps its columns");
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = rows;
    }

    pub fn clear(&self) {
        self.set(RecordBatch::new_empty(Arc::clone(&self.schema)));
    }

    /// The slot as a table of a session.
    pub fn table(&self) -> Result<Arc<StreamingTable>> {
        let table = StreamingTable::try_new(self.schema.clone(), vec![Arc::new(self.clone())])?;
        Ok(Arc::new(table))
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("rows", &self.get().num_rows()).finish()
    }
}

impl PartitionStream for Slot {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = futures::stream::iter([Ok(self.get())]);
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}
