#[derive(CacheFeeder)]
#[feeder(entity = Document, key = "format!(\"{tenant}/{}\", self.path())", name = "DocumentFeeder")]
struct GetDocument {
    tenant: String,
    path: Vec<String>,
}

// ↓ expands to

/// Carries a [`GetDocument`] to the cache, and the entity back.
struct DocumentFeeder {
    /// What is asked for.
    request: GetDocument,
    /// The answer, after the call.
    entity: kit::Option<kit::Arc<Document>>,
}

#[automatically_derived]
impl DocumentFeeder {
    /// A feeder that asks for what `request` says, not answered yet.
    fn new(request: GetDocument) -> Self {
        Self {
            request,
            entity: kit::Option::None,
        }
    }
    /// Takes the entity out, without the request.
    fn into_entity(self) -> kit::Option<kit::Arc<Document>> {
        self.entity
    }
}

#[automatically_derived]
impl GetDocument {
    /// Makes a [`DocumentFeeder`] of the request, ready for the cache.
    fn into_feeder(self) -> DocumentFeeder {
        DocumentFeeder::new(self)
    }
}

#[automatically_derived]
impl kit::Debug for DocumentFeeder {
    fn fmt(&self, __f: &mut kit::Formatter<'_>) -> kit::FmtResult {
        kit::debug_feeder(__f, "DocumentFeeder", kit::Option::is_some(&self.entity))
    }
}

#[automatically_derived]
impl kit::CacheFeed<Document> for DocumentFeeder {
    fn entity_id(&mut self) -> kit::Key<Document> {
        let __owner = &self.request;
        kit::KeyValue::into_key(
            ({
                let tenant = &__owner.tenant;
                format!("{tenant}/{}", __owner.path())
            }),
        )
    }
    fn feed(&mut self, __entity: kit::Option<Document>) {
        self.entity = __entity.map(kit::Arc::new);
    }
    fn feed_shared(&mut self, __entity: kit::Option<kit::Arc<Document>>) {
        self.entity = __entity;
    }
    fn wants_hits(&self) -> kit::bool {
        false
    }
    fn wants_misses(&self) -> kit::bool {
        false
    }
}
