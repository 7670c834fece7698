#[derive(CacheFeeder)]
#[feeder(entity = Invoice, key = "{year}/{number}")]
struct GetInvoice {
    year: u16,
    number: u32,
}

// ↓ expands to

/// Carries a [`GetInvoice`] to the cache, and the entity back.
struct GetInvoiceFeeder {
    /// What is asked for.
    request: GetInvoice,
    /// The answer, after the call.
    entity: kit::Option<kit::Arc<Invoice>>,
}

#[automatically_derived]
impl GetInvoiceFeeder {
    /// A feeder that asks for what `request` says, not answered yet.
    fn new(request: GetInvoice) -> Self {
        Self {
            request,
            entity: kit::Option::None,
        }
    }
    /// Takes the entity out, without the request.
    fn into_entity(self) -> kit::Option<kit::Arc<Invoice>> {
        self.entity
    }
}

#[automatically_derived]
impl GetInvoice {
    /// Makes a [`GetInvoiceFeeder`] of the request, ready for the cache.
    fn into_feeder(self) -> GetInvoiceFeeder {
        GetInvoiceFeeder::new(self)
    }
}

#[automatically_derived]
impl kit::Debug for GetInvoiceFeeder {
    fn fmt(&self, __f: &mut kit::Formatter<'_>) -> kit::FmtResult {
        kit::debug_feeder(__f, "GetInvoiceFeeder", kit::Option::is_some(&self.entity))
    }
}

#[automatically_derived]
impl kit::CacheFeed<Invoice> for GetInvoiceFeeder {
    fn entity_id(&mut self) -> kit::Key<Invoice> {
        let mut __key = kit::String::new();
        kit::push_part::<u16>(&mut __key, &self.request.year);
        kit::String::push_str(&mut __key, "/");
        kit::push_part::<u32>(&mut __key, &self.request.number);
        kit::KeyValue::into_key(__key)
    }
    fn feed(&mut self, __entity: kit::Option<Invoice>) {
        self.entity = __entity.map(kit::Arc::new);
    }
    fn feed_shared(&mut self, __entity: kit::Option<kit::Arc<Invoice>>) {
        self.entity = __entity;
    }
    fn validate(&self) -> kit::Result<()> {
        kit::check_template::<
            Invoice,
        >(|__key| {
            kit::push_part::<u16>(__key, &self.request.year);
            kit::String::push_str(__key, "/");
            kit::push_part::<u32>(__key, &self.request.number);
        })
    }
    fn wants_hits(&self) -> kit::bool {
        false
    }
    fn wants_misses(&self) -> kit::bool {
        false
    }
}
