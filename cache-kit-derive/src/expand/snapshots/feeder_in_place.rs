#[derive(CacheFeeder)]
#[feeder(entity = User)]
struct UserFeeder {
    #[feeder(key)]
    id: String,
    #[feeder(entity)]
    user: Option<Arc<User>>,
}

// ↓ expands to

#[automatically_derived]
impl kit::CacheFeed<User> for UserFeeder {
    fn entity_id(&mut self) -> kit::Key<User> {
        <String as kit::KeyField<_>>::to_key(&self.id)
    }
    fn borrowed_id(&self) -> kit::Option<&kit::Key<User>> {
        use kit::Different as _;
        kit::Same::<String, kit::Key<User>>::cast(&self.id)
    }
    fn feed(&mut self, __entity: kit::Option<User>) {
        <Option<Arc<User>> as kit::EntityField<User>>::put(&mut self.user, __entity);
    }
    fn feed_shared(&mut self, __entity: kit::Option<kit::Arc<User>>) {
        <Option<Arc<User>> as kit::EntityField<User>>::share(&mut self.user, __entity);
    }
    fn wants_hits(&self) -> kit::bool {
        false
    }
    fn wants_misses(&self) -> kit::bool {
        false
    }
}
