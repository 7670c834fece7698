#[derive(CacheFeeder)]
#[feeder(entity = OrderItem, validate = Self::check, on_hit = log::hit, on_miss = log::miss, on_loaded = Self::loaded)]
pub struct ItemFeeder<'a> {
    #[feeder(key)]
    order_id: &'a str,
    #[feeder(key = "item_id")]
    item: u32,
    #[feeder(entity)]
    found: Option<OrderItem>,
}

// ↓ expands to

#[automatically_derived]
impl<'a> kit::CacheFeed<OrderItem> for ItemFeeder<'a> {
    fn entity_id(&mut self) -> kit::Key<OrderItem> {
        type __Key = kit::Key<OrderItem>;
        __Key {
            order_id: <str as kit::KeyPart<_>>::to_part(self.order_id),
            item_id: <u32 as kit::KeyPart<_>>::to_part(&self.item),
        }
    }
    fn feed(&mut self, __entity: kit::Option<OrderItem>) {
        <Option<
            OrderItem,
        > as kit::EntityField<OrderItem>>::put(&mut self.found, __entity);
    }
    fn feed_shared(&mut self, __entity: kit::Option<kit::Arc<OrderItem>>) {
        <Option<
            OrderItem,
        > as kit::EntityField<OrderItem>>::share(&mut self.found, __entity);
    }
    fn validate(&self) -> kit::Result<()> {
        kit::Hook::<(&Self,)>::call(Self::check, (self,))
    }
    fn on_hit(&mut self, __key: &kit::str) -> kit::Result<()> {
        kit::Hook::<(&mut Self, &kit::str)>::call(log::hit, (self, __key))
    }
    fn on_miss(&mut self, __key: &kit::str) -> kit::Result<()> {
        kit::Hook::<(&mut Self, &kit::str)>::call(log::miss, (self, __key))
    }
    fn on_loaded(&mut self, __entity: &OrderItem) -> kit::Result<()> {
        kit::Hook::<(&mut Self, &OrderItem)>::call(Self::loaded, (self, __entity))
    }
}
