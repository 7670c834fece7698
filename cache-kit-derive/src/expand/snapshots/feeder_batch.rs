#[derive(CacheFeeder)]
#[feeder(entity = User, key = "members")]
pub struct GetTeam {
    pub members: Vec<String>,
}

// ↓ expands to

/// Carries a [`GetTeam`] to the cache, and the entities back.
#[allow(private_interfaces, reason = "what it is generated for may be less visible")]
pub struct GetTeamFeeder {
    /// What is asked for.
    pub request: GetTeam,
    /// The answers, after the call: one for each key, in the order of the keys.
    pub entities: kit::Vec<kit::Option<kit::Arc<User>>>,
}

#[allow(private_interfaces, reason = "what it is generated for may be less visible")]
#[automatically_derived]
impl GetTeamFeeder {
    /// A feeder that asks for what `request` says, not answered yet.
    pub fn new(request: GetTeam) -> Self {
        Self {
            request,
            entities: kit::Vec::new(),
        }
    }
    /// Takes the entities out, without the request.
    pub fn into_entities(self) -> kit::Vec<kit::Option<kit::Arc<User>>> {
        self.entities
    }
}

#[automatically_derived]
impl GetTeam {
    /// Makes a [`GetTeamFeeder`] of the request, ready for the cache.
    pub fn into_feeder(self) -> GetTeamFeeder {
        GetTeamFeeder::new(self)
    }
}

#[automatically_derived]
impl kit::Debug for GetTeamFeeder {
    fn fmt(&self, __f: &mut kit::Formatter<'_>) -> kit::FmtResult {
        kit::debug_feeder(__f, "GetTeamFeeder", !kit::Vec::is_empty(&self.entities))
    }
}

#[automatically_derived]
impl kit::CacheFeedMany<User> for GetTeamFeeder {
    fn entity_ids(&mut self) -> kit::Vec<kit::Key<User>> {
        kit::to_keys::<String, _>(&self.request.members)
    }
    fn feed_many(&mut self, __entities: kit::Vec<kit::Option<kit::Arc<User>>>) {
        self.entities = __entities;
    }
}
