#[derive(CacheFeeder)]
#[feeder(entity = User, key = "user_id", validate = Self::check)]
pub struct GetUser<'a, T> {
    pub user_id: &'a str,
    pub trace: T,
}

// ↓ expands to

/// Carries a [`GetUser`] to the cache, and the entity back.
#[allow(private_interfaces, reason = "what it is generated for may be less visible")]
pub struct GetUserFeeder<'a, T> {
    /// What is asked for.
    pub request: GetUser<'a, T>,
    /// The answer, after the call.
    pub entity: kit::Option<kit::Arc<User>>,
}

#[allow(private_interfaces, reason = "what it is generated for may be less visible")]
#[automatically_derived]
impl<'a, T> GetUserFeeder<'a, T> {
    /// A feeder that asks for what `request` says, not answered yet.
    pub fn new(request: GetUser<'a, T>) -> Self {
        Self {
            request,
            entity: kit::Option::None,
        }
    }
    /// Takes the entity out, without the request.
    pub fn into_entity(self) -> kit::Option<kit::Arc<User>> {
        self.entity
    }
}

#[automatically_derived]
impl<'a, T> GetUser<'a, T> {
    /// Makes a [`GetUserFeeder`] of the request, ready for the cache.
    pub fn into_feeder(self) -> GetUserFeeder<'a, T> {
        GetUserFeeder::new(self)
    }
}

#[automatically_derived]
impl<'a, T> kit::Debug for GetUserFeeder<'a, T> {
    fn fmt(&self, __f: &mut kit::Formatter<'_>) -> kit::FmtResult {
        kit::debug_feeder(__f, "GetUserFeeder", kit::Option::is_some(&self.entity))
    }
}

#[automatically_derived]
impl<'a, T> kit::CacheFeed<User> for GetUserFeeder<'a, T>
where
    GetUserFeeder<'a, T>: kit::Send,
{
    fn entity_id(&mut self) -> kit::Key<User> {
        <str as kit::KeyField<_>>::to_key(self.request.user_id)
    }
    fn feed(&mut self, __entity: kit::Option<User>) {
        self.entity = __entity.map(kit::Arc::new);
    }
    fn feed_shared(&mut self, __entity: kit::Option<kit::Arc<User>>) {
        self.entity = __entity;
    }
    fn validate(&self) -> kit::Result<()> {
        kit::Hook::<(&GetUser<'a, T>,)>::call(<GetUser<'a, T>>::check, (&self.request,))
    }
    fn wants_hits(&self) -> kit::bool {
        false
    }
    fn wants_misses(&self) -> kit::bool {
        false
    }
}
