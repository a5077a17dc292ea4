//! `tapkey oath info`: version, password, room.

use clap::Args as ClapArgs;
use serde::Serialize;

use super::{memory::Memory, session::Session};
use crate::{commands::Context, exit::Failure, interrupt, output};

/// Options of `tapkey oath info`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Info {
    version: String,
    device_id: String,
    password: bool,
    remembered: Option<&'static str>,
    capacity: usize,
    accounts: Option<usize>,
}

/// Prints it. No password is asked for: how many accounts there are is told when none is set.
pub(crate) fn run(_: &Args, context: &Context) -> Result<(), Failure> {
    let _busy = interrupt::busy();
    let mut session = Session::open(context)?;
    let info = *session.oath.info();
    let accounts = match info.has_password {
        true => None,
        false => Some(session.with(|oath, control| oath.list(control))?.len()),
    };
    let device_id = info.device_id();
    let remembered = Memory::load()?.place(&device_id).map(super::memory::Where::name);
    let document = Info {
        version: info.version.to_string(),
        device_id,
        password: info.has_password,
        remembered,
        capacity: info.capacity(),
        accounts,
    };
    context.printer.result("oath-info/1", &document, |info| {
        let password = match (info.password, info.remembered) {
            (false, _) => "not set".to_owned(),
            (true, None) => "set".to_owned(),
            (true, Some(place)) => format!("set, and remembered here ({place})"),
        };
        let accounts = match info.accounts {
            Some(count) => format!("{count} of {}", info.capacity),
            None => format!("at most {}, behind the password", info.capacity),
        };
        output::fields(&[
            ("Version", info.version.clone()),
            ("Device id", info.device_id.clone()),
            ("Password", password),
            ("Accounts", accounts),
        ])
    })
}
