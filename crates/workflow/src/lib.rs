//! What combines a key with a server, and survives being interrupted.
//!
//! [`enrol`] makes a key and a server share a new credential: the server draws it and keeps it
//! pending, the key's slot is programmed, a touch proves that the key holds it, and only then does
//! the server let it validate.
//!
//! Writing a slot cannot be undone, so the promise is this. Wherever the way is cut (power, network,
//! Ctrl-C, the key pulled out), the slot holds either its old content or the pending credential,
//! the server lets nothing validate that was not proven, and running the same enrolment again
//! arrives: it picks the pending credential up, or starts over where that is gone. A [`Journal`]
//! beside the user's other state makes the difference; it holds no secret.
//!
//! A [`station`] does so with every key that is plugged in, also where no server is at hand.
//!
//! What touches the outside is behind three small traits, so that a program can bring its own:
//! [`KeyPort`] (a plugged-in key; implemented by [`DeviceKey`]), [`TouchPort`] (how a
//! typed password reaches us) and [`EnrolmentServer`] (implemented for
//! [`tapkey_client::api::Client`]).

pub mod enrolment;
pub mod plan;
pub mod station;

mod client;
mod device;

pub use device::DeviceKey;
pub use enrolment::{
    Credential, EnrolError, Enrolled, EnrolmentServer, Event, Journal, JournalError, KeyError, KeyFacts,
    KeyPort, Plan, Programmed, PublicIdChoice, ServerError, TouchError, TouchPort, enrol, enrol_pending,
};
