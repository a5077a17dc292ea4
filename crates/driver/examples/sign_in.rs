//! Sign in to a server of one's own with a challenge-response slot, in an asynchronous program, on a
//! key made of software.
//!
//! ```sh
//! cargo run --package tapkey-driver --features async --example sign_in
//! ```
#![allow(clippy::print_stdout, reason = "it shows something")]

use std::time::Duration;

use tapkey_driver::asynchronous::AsyncSession;
use tapkey_driver::{Control, Error, OtpSession, Refusal, TouchEvent};
use tapkey_emulator::{Milliseconds, TouchPolicy, VirtualKey, port::in_process::PluggedKey};
use tapkey_protocol::challenge::sign_in::{Nonce, Purpose, SignIn};
use tapkey_protocol::slot::{AccessCode, ChallengeHmac, HmacKey, Options, Slot};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = VirtualKey::builder().touch(TouchPolicy::Automatic(Milliseconds(700))).build()?;
    let link = PluggedKey::new(key)?.otp()?;
    let control = Control::new().with_timeout(Duration::from_secs(20)).with_touch(|event| {
        if let TouchEvent::Needed { .. } = event {
            println!("touch your key");
        }
    });
    let otp = AsyncSession::open(&control, move |control| OtpSession::over_hid(link, control)).await?;

    // Once, when the account is made: the server keeps the key of the slot.
    let secret = [0x0B; 20]; // yours comes from a random source
    let slot = ChallengeHmac {
        key: HmacKey::new(secret),
        variable_length: true,
        require_touch: true,
        options: Options::for_challenges(),
        access_code: AccessCode::NONE,
    };
    otp.call(&control, move |otp, control| otp.program(Slot::Two, &slot, &AccessCode::NONE, control)).await?;

    // Each time: the server names a nonce, and the challenge is made here.
    let sign_in = SignIn {
        purpose: Purpose::SignIn,
        origin: "https://login.example.org".parse()?,
        account: "alice".parse()?,
        nonce: Nonce::new(&[7; 16])?, // the server draws it, good once
    };
    let asked = sign_in.clone();
    let asking = otp.call(&control, move |otp, control| otp.challenge_sign_in(Slot::Two, &asked, control));
    match asking.await {
        Ok(response) => println!("the server accepts it: {}", sign_in.accepts(&secret, &response)),
        Err(Error::Refused(Refusal::TouchTimedOut)) => println!("nobody touched the key"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
