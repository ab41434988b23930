//! The program's own views, as tables of the reading room.
//!
//! A view is planned once, when the room opens, and becomes part of the plan of whatever reads it:
//! it sees the moment of that statement.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use datafusion::catalog::TableProvider;
use datafusion::datasource::ViewTable;
use datafusion::error::Result;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::Statement;
use recoup_sql::answers::View;

/// Views by name.
#[derive(Default)]
pub struct Views {
    views: RwLock<BTreeMap<String, Arc<dyn TableProvider>>>,
}

impl Views {
    pub fn names(&self) -> Vec<String> {
        self.views.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    pub fn find(&self, name: &str) -> Option<Arc<dyn TableProvider>> {
        self.views.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Plans views in their order: one may read those before it.
    pub async fn define(&self, context: &SessionContext, views: &[View]) -> Result<()> {
        for view in views {
            let statement = Statement::Query(view.query.clone());
            let text = statement.to_string();
            let parsed = Parsed::Statement(Box::new(statement));
            let plan = context.state().statement_to_plan(parsed).await?;
            let table = Arc::new(ViewTable::new(plan, Some(text)));
            let mut known = self.views.write().unwrap_or_else(PoisonError::into_inner);
            known.insert(view.name.clone(), table);
        }
        Ok(())
    }
}
