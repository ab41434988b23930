//! A column of numbers, some of them null, under construction.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, NullBufferBuilder, PrimitiveArray};
use arrow::datatypes::DataType;

/// Numbers in row order.
pub(crate) struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Numbers { values: Vec::with_capacity(rows), nulls: NullBufferBuilder::new(rows) }
    }

    #[inline]
    pub(crate) fn push(&mut self, value: Option<T::Native>) {
        self.values.push(value.unwrap_or_default());
        self.nulls.append(value.is_some());
    }

    /// The column, in the type's own scale or zone.
    pub(crate) fn finish(mut self, data_type: DataType) -> ArrayRef {
        let numbers = PrimitiveArray::<T>::new(self.values.into(), self.nulls.finish());
        Arc::new(numbers.with_data_type(data_type))
    }
}
