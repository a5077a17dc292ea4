//! The named values of a log line, and what they say about a slot.

use zeroize::Zeroizing;

use super::rows::{access_code, hexadecimal, hmac_key, optional_public_id, public_id, serial, token_id};
use super::{Credential, Entry, Kind, Problem};
use crate::otp::{AesKey, PrivateId};
use crate::secret::Secret;
use crate::slot::{AccessCode, ConfigFlags, Digits, MovingFactor, Slot};

/// Names as the YubiKey Personalization Tool writes them in templates, and their values.
#[derive(Default)]
pub(super) struct Fields(Vec<(&'static str, Zeroizing<String>)>);

impl Fields {
    pub(super) fn add(&mut self, name: &'static str, value: &str) {
        self.0.push((name, Zeroizing::new(value.trim().to_owned())));
    }

    fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value.as_str())
    }

    fn is_set(&self, name: &str) -> bool {
        self.text(name) == "1"
    }

    /// The entry, or nothing for an event that programmed nothing.
    pub(super) fn entry(&self, line: usize, kind: Option<Kind>) -> Result<Option<Entry>, Problem> {
        let Some(credential) = self.credential(kind)? else { return Ok(None) };
        let slot = match self.text("configSlot") {
            "" => None,
            text => Some(text.parse().map_err(|_| column("the slot", "1 or 2"))?),
        };
        Ok(Some(Entry {
            line,
            serial: serial(self.text("serial"))?,
            slot,
            credential,
            current_access_code: self.code(["currentAccessCodeTxt", "currentAccessCodeTxtPadded"])?,
            access_code: self.code(["newAccessCodeTxt", "newAccessCodeTxtPadded"])?,
            time: ["timestampFixed", "timestampLocal"]
                .into_iter()
                .map(|name| self.text(name))
                .find(|text| !text.is_empty())
                .map(str::to_owned),
        }))
    }

    fn code(&self, names: [&str; 2]) -> Result<AccessCode, Problem> {
        let text = names.into_iter().map(|name| self.text(name)).find(|text| !text.is_empty());
        access_code(text.unwrap_or_default())
    }

    fn credential(&self, kind: Option<Kind>) -> Result<Option<Credential>, Problem> {
        Ok(Some(match self.text("eventType") {
            "Yubico OTP" => self.yubico_otp()?,
            "OATH-HOTP" => self.hotp()?,
            "Challenge-Response: HMAC-SHA1" => self.challenge_hmac()?,
            "Challenge-Response: Yubico OTP" => {
                Credential::ChallengeYubico { key: self.aes_key()?, touch: self.is_set("chalBtnTrig") }
            }
            "Static Password" => self.static_ticket(false)?,
            "Static Password: Short" => self.static_ticket(true)?,
            "Static Password: Scan Code" => self.scan_codes()?,
            "Configuration Update" | "Configuration Swap" => return Ok(None),
            "" => self.by_content(kind)?,
            _ => return Err(Problem::Kind),
        }))
    }

    /// Without an event, the lengths of the values tell.
    fn by_content(&self, kind: Option<Kind>) -> Result<Credential, Problem> {
        match self.secret()?.len() {
            16 if self.text("pvtIdTxt").is_empty() => self.static_ticket(false),
            16 => self.yubico_otp(),
            _ if !matches!(self.text("hotpDigits"), "" | "0") => self.hotp(),
            _ => match kind {
                Some(Kind::Hotp) => self.hotp(),
                Some(Kind::ChallengeHmac) => self.challenge_hmac(),
                None => Err(Problem::Ambiguous),
            },
        }
    }

    fn secret(&self) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let text = self.text("secretKeyTxt");
        if text.is_empty() && !self.text("secretKeyB64").is_empty() {
            let bytes = data_encoding::BASE64.decode(self.text("secretKeyB64").as_bytes());
            return bytes.map(Zeroizing::new).map_err(|_| column("the key", "base64"));
        }
        hexadecimal(text).ok_or_else(|| column("the key", "in hexadecimal digits"))
    }

    fn aes_key(&self) -> Result<AesKey, Problem> {
        let key: [u8; 16] =
            self.secret()?.as_slice().try_into().map_err(|_| column("the key", "of 16 bytes"))?;
        Ok(AesKey::new(key))
    }

    fn private_id(&self) -> Result<PrivateId, Problem> {
        if self.text("pvtIdTxt").is_empty() {
            return Ok(PrivateId::new([0; 6]));
        }
        super::rows::private_id(self.text("pvtIdTxt"))
    }

    fn yubico_otp(&self) -> Result<Credential, Problem> {
        Ok(Credential::YubicoOtp {
            public_id: public_id(self.text("pubIdTxt"))?,
            private_id: super::rows::private_id(self.text("pvtIdTxt"))?,
            key: self.aes_key()?,
            send_reference: self.is_set("sendRef"),
        })
    }

    fn hotp(&self) -> Result<Credential, Problem> {
        let flags = if self.is_set("oathFixedModhex") {
            ConfigFlags::HOTP_MODHEX_ALL
        } else if self.is_set("oathFixedModhex2") {
            ConfigFlags::HOTP_MODHEX_FIRST_TWO
        } else if self.is_set("oathFixedModhex1") {
            ConfigFlags::HOTP_MODHEX_FIRST
        } else {
            ConfigFlags::NONE
        };
        let seed = match self.text("oathMovingFactorSeed") {
            "" => 0,
            text => text.parse().map_err(|_| column("the starting counter", "a number"))?,
        };
        let id = optional_public_id(self.text("pubIdTxt"))?;
        Ok(Credential::Hotp {
            key: hmac_key(&self.secret()?)?,
            digits: if self.text("hotpDigits") == "8" { Digits::Eight } else { Digits::Six },
            moving_factor: MovingFactor::new(seed)
                .map_err(|_| column("the starting counter", "a multiple of 16 up to 1048560"))?,
            token_id: id.and_then(|id| token_id(&id, flags)),
        })
    }

    fn challenge_hmac(&self) -> Result<Credential, Problem> {
        Ok(Credential::ChallengeHmac {
            key: hmac_key(&self.secret()?)?,
            variable_length: self.is_set("hmacLT64"),
            touch: self.is_set("chalBtnTrig"),
        })
    }

    fn static_ticket(&self, short: bool) -> Result<Credential, Problem> {
        Ok(Credential::StaticTicket {
            public_id: public_id(self.text("pubIdTxt"))?,
            private_id: self.private_id()?,
            key: self.aes_key()?,
            short,
            strong_1: self.is_set("strongPw1"),
            strong_2: self.is_set("strongPw2"),
            send_reference: self.is_set("sendRef"),
            manual_update: false,
        })
    }

    fn scan_codes(&self) -> Result<Credential, Problem> {
        let mut codes = [0; 38];
        let id = public_id(self.text("pubIdTxt"))?;
        codes[..id.len()].copy_from_slice(id.as_bytes());
        codes[16..22].copy_from_slice(self.private_id()?.expose());
        codes[22..].copy_from_slice(self.aes_key()?.expose());
        Ok(Credential::ScanCodes { codes: Secret::new(codes) })
    }
}

pub(super) const fn column(column: &'static str, expected: &'static str) -> Problem {
    Problem::Column { column, expected }
}

/// The slot's number in a log.
pub(super) fn slot_text(slot: Option<Slot>) -> String {
    slot.map(|slot| slot.to_string()).unwrap_or_default()
}
