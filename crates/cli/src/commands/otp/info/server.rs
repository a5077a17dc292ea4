//! What a server knows about the key.

use tapkey_api::Page;
use tapkey_client::api::{Client, KeyFilter, PageRequest};

use super::facts::Fact;
use crate::{
    commands::{Context, admin, block_on},
    exit::Failure,
};

/// A credential that a server has for this serial number.
pub(super) struct Served {
    pub(super) slot: u8,
    text: String,
}

impl Served {
    pub(super) fn fact(&self) -> Fact {
        Fact::new("enrolled", self.text.clone(), "server")
    }
}

/// The credentials of this serial number, when a server was named. That it does not answer is said and
/// hides nothing else.
pub(super) fn keys(context: &Context, serial: Option<u32>) -> Vec<Served> {
    let (Some(_), Some(serial)) = (&context.global.server, serial) else { return Vec::new() };
    match ask(context, serial) {
        Ok(served) => served,
        Err(failure) => {
            context.printer.warn(format!("the server was not asked: {}", failure.message()));
            Vec::new()
        }
    }
}

fn ask(context: &Context, serial: u32) -> Result<Vec<Served>, Failure> {
    let client = admin::connect(context, &context.settings()?)?;
    block_on(collect(&client, serial))
}

async fn collect(client: &Client, serial: u32) -> Result<Vec<Served>, Failure> {
    let mut served = Vec::new();
    let mut after = None;
    loop {
        let page = PageRequest { limit: Some(Page::<()>::MAX_LIMIT), after };
        let page = client.keys(KeyFilter::default(), page).await.map_err(admin::refused)?;
        for key in page.items.into_iter().filter(|key| key.serial == Some(serial)) {
            let state = if key.enabled { "active" } else { "disabled" };
            let code = if key.has_access_code { ", access code kept there" } else { "" };
            let text = format!("{} for {}, {state}{code}", key.public_id, key.account);
            served.push(Served { slot: key.slot, text });
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(served),
        }
    }
}
