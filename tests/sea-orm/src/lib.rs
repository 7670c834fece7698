//! SeaORM as another derive sees it: attributes on a model and on its fields.

use proc_macro::TokenStream;

/// Accepts the attributes of SeaORM's derive of this name, and generates nothing.
#[proc_macro_derive(DeriveEntityModel, attributes(sea_orm))]
pub fn derive_entity_model(_: TokenStream) -> TokenStream {
    TokenStream::new()
}
