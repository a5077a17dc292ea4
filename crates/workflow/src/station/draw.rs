//! Secrets of the operating system's randomness.

use data_encoding::HEXLOWER;
use tapkey_protocol::{
    otp::{AesKey, PrivateId, PublicId},
    slot::AccessCode,
};
use zeroize::Zeroizing;

use crate::enrolment::Credential;

/// The name of a bundle or a record: 32 hexadecimal digits.
pub(super) fn id() -> Result<String, ()> {
    Ok(HEXLOWER.encode(&*bytes::<16>()?))
}

/// A new credential, with this public id or one that was never given before, as far as chance goes.
pub(super) fn credential(public_id: Option<PublicId>, access_code: bool) -> Result<Credential, ()> {
    let public_id = match public_id {
        Some(public_id) => public_id,
        None => random_public_id()?,
    };
    Ok(Credential {
        public_id,
        private_id: PrivateId::new(*bytes()?),
        aes_key: AesKey::new(*bytes()?),
        access_code: if access_code { Some(code()?) } else { None },
    })
}

/// `vv` first: outside what Yubico assigns at the factory. The second byte tells these from ids that
/// are made of a serial number, whose second byte is 0. The server draws by the same rule.
fn random_public_id() -> Result<PublicId, ()> {
    let [second, a, b, c, d] = *bytes::<5>()?;
    PublicId::new(&[0xff, second.max(1), a, b, c, d]).map_err(|_| ())
}

/// All zeros means "no access code" to a key.
fn code() -> Result<AccessCode, ()> {
    loop {
        let code = bytes::<6>()?;
        if *code != [0; 6] {
            return Ok(AccessCode::new(*code));
        }
    }
}

fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, ()> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|_| ())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_drawn_twice() {
        let (one, two) = (credential(None, true).unwrap(), credential(None, true).unwrap());
        assert_ne!(one.public_id, two.public_id);
        assert_ne!(one.aes_key.expose(), two.aes_key.expose());
        assert_ne!(one.private_id.expose(), two.private_id.expose());
        assert_ne!(one.access_code.unwrap().expose(), two.access_code.unwrap().expose());
        assert!(one.public_id.to_string().starts_with("vv") && one.public_id.len() == 6);
        assert!(id().unwrap() != id().unwrap() && tapkey_api::bundle::is_id(&id().unwrap()));
        let chosen = PublicId::from_serial(7);
        assert_eq!(credential(Some(chosen), false).unwrap().public_id, chosen);
    }
}
