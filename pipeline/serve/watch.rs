//! Ends what does not pause by itself.
//!
//! A task ends where it pauses, and a join whose condition drops nearly every pair can go through
//! billions of them before it has a batch to hand on. So the condition of each join is wrapped in
//! a function that fails once the statement's time is up or its client has called it off; it is
//! asked once for every few thousand pairs.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::bounds::{STATEMENT, Statement};

const NAME: &str = "in_time";

/// The last rule of the optimizer: nothing looks into a wrapped condition any more.
#[derive(Debug)]
pub struct WatchJoins;

impl OptimizerRule for WatchJoins {
    fn name(&self) -> &str {
        "watch_joins"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(mut join) = plan else { return Ok(Transformed::no(plan)) };
        let Ok(statement) = STATEMENT.try_with(Arc::clone) else {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        };
        match join.filter.take() {
            Some(condition) if !is_watched(&condition) => {
                let watched = ScalarUDF::new_from_impl(InTime::new(statement));
                let call = ScalarFunction::new_udf(Arc::new(watched), vec![condition]);
                join.filter = Some(Expr::ScalarFunction(call));
                Ok(Transformed::yes(LogicalPlan::Join(join)))
            }
            condition => {
                join.filter = condition;
                Ok(Transformed::no(LogicalPlan::Join(join)))
            }
        }
    }
}

fn is_watched(condition: &Expr) -> bool {
    matches!(condition, Expr::ScalarFunction(call) if call.func.name() == NAME)
}

/// Answers its argument, in time.
#[derive(Debug)]
struct InTime {
    statement: Arc<Statement>,
    signature: Signature,
}

impl InTime {
    fn new(statement: Arc<Statement>) -> Self {
        // Volatile: it must be asked again each time, and stay where it is.
        let signature = Signature::exact(vec![DataType::Boolean], Volatility::Volatile);
        InTime { statement, signature }
    }
}

impl PartialEq for InTime {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.statement, &other.statement)
    }
}

impl Eq for InTime {}

impl Hash for InTime {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.statement).hash(state);
    }
}

impl ScalarUDFImpl for InTime {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.statement.check().map_err(|why| DataFusionError::External(Box::new(why)))?;
        let condition = args.args.pop();
        condition.ok_or_else(|| DataFusionError::Internal(format!("{NAME} has one argument")))
    }
}
