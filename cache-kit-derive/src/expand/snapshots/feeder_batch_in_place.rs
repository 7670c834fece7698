#[derive(CacheFeeder)]
#[feeder(entity = User, on_miss = Self::count)]
struct Team<'a> {
    #[feeder(key)]
    members: &'a [&'a str],
    #[feeder(entity)]
    users: Vec<Option<User>>,
    misses: usize,
}

// ↓ expands to

#[automatically_derived]
impl<'a> kit::CacheFeedMany<User> for Team<'a> {
    fn entity_ids(&mut self) -> kit::Vec<kit::Key<User>> {
        kit::to_keys_behind::<str, _>(self.members)
    }
    fn feed_many(&mut self, __entities: kit::Vec<kit::Option<kit::Arc<User>>>) {
        <Vec<
            Option<User>,
        > as kit::EntitiesField<User>>::put_many(&mut self.users, __entities);
    }
    fn on_miss(&mut self, __position: kit::usize, __key: &kit::str) -> kit::Result<()> {
        kit::Hook::<
            (&mut Self, kit::usize, &kit::str),
        >::call(Self::count, (self, __position, __key))
    }
}
