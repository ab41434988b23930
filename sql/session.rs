//! The DataFusion session that a program is planned in.

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::prelude::SessionConfig;

use crate::functions;

/// Rows that one batch between two nodes of a plan may have; a step has no more.
pub const BATCH_ROWS: usize = 65_536;

/// A session of one partition, in which a literal like `1.25` is a decimal, texts are plain
/// `Utf8`, and plans can be run again.
pub fn session(shards: u32) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(BATCH_ROWS);
    let options = config.options_mut();
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.collect_spans = true;
    // A plan with dynamic filters cannot be run twice.
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_round_robin_repartition = false;
    let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    let context = SessionContext::new_with_state(state);
    for function in functions::all(shards) {
        context.register_udf(function);
    }
    context
}
