#[derive(CacheEntity)]
#[cache(key("order_id", "item_id"))]
pub struct OrderItem {
    pub order_id: String,
    pub item_id: u32,
    pub amount: u32,
}

// ↓ expands to

#[automatically_derived]
impl kit::CacheEntity for OrderItem {
    type Key = OrderItemKey;
    fn cache_key(&self) -> OrderItemKey {
        OrderItemKey::new(
            kit::Clone::clone(&self.order_id),
            kit::Clone::clone(&self.item_id),
        )
    }
    fn cache_prefix() -> &'static kit::str {
        "order_item"
    }
    fn cache_schema() -> kit::u64 {
        0
    }
}

#[automatically_derived]
impl kit::CacheSchema for OrderItem {
    fn cache_shape(__schema: &mut kit::Schema) {
        __schema.number(0);
    }
}

///The key of `OrderItem`. Its text is its parts joined by `:`, with `%` and `:` inside a part escaped, so that different keys have different texts.
#[derive(
    kit::Clone,
    kit::Debug,
    kit::PartialEq,
    kit::Eq,
    kit::PartialOrd,
    kit::Ord,
    kit::Hash,
)]
pub struct OrderItemKey {
    ///The `order_id` of the entity.
    pub order_id: String,
    ///The `item_id` of the entity.
    pub item_id: u32,
}

#[automatically_derived]
impl OrderItemKey {
    /// The key that has these parts.
    #[allow(clippy::too_many_arguments, reason = "a key has as many as its entity says")]
    pub fn new(order_id: String, item_id: u32) -> Self {
        Self {
            order_id: order_id,
            item_id: item_id,
        }
    }
}

#[automatically_derived]
impl kit::Display for OrderItemKey {
    fn fmt(&self, __f: &mut kit::Formatter<'_>) -> kit::FmtResult {
        kit::write_part::<String>(__f, &self.order_id)?;
        kit::write_separator(__f)?;
        kit::write_part::<u32>(__f, &self.item_id)?;
        kit::FmtResult::Ok(())
    }
}

#[automatically_derived]
impl kit::FromStr for OrderItemKey {
    type Err = kit::ParseKeyError;
    #[inline]
    fn from_str(__text: &kit::str) -> kit::Result<Self, kit::ParseKeyError> {
        let mut __parts = kit::KeyParts::split("OrderItemKey", __text, 2usize)?;
        kit::Result::Ok(Self {
            order_id: __parts.next("order_id")?,
            item_id: __parts.next("item_id")?,
        })
    }
}
