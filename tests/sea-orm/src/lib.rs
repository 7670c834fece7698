//! SeaORM as another derive sees it: attributes on a model and on its fields.

use proc_macro::TokenStream;

/// Takes what SeaORM's derive of this name takes, and gives nothing.
#[proc_macro_derive(DeriveEntityModel, attributes(sea_orm))]
pub fn derive_entity_model(_: TokenStream) -> TokenStream {
    TokenStream::new()
}
