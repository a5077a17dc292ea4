//! A credential whose passwords are made without any key.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use tapkey_protocol::{
    modhex,
    otp::{AesKey, Otp, PrivateId, PublicId, Timestamp, Token},
};

use crate::parts::{command, part};

/// What a key and a server share.
#[derive(Clone, Debug)]
pub struct Credential {
    /// What the key types first.
    pub public_id: PublicId,
    /// The 6 bytes inside the block.
    pub private_id: PrivateId,
    /// The key of the block.
    pub aes_key: AesKey,
}

impl Credential {
    /// From the texts of an enrolment: modhex, and hexadecimal digits twice.
    ///
    /// # Errors
    /// They are something else.
    pub fn from_texts(public_id: &str, private_id: &str, aes_key: &str) -> Result<Self> {
        let bytes = |text: &str| data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes());
        let private_id: [u8; 6] = bytes(private_id)?.try_into().ok().context("6 bytes of private id")?;
        let aes_key: [u8; 16] = bytes(aes_key)?.try_into().ok().context("16 bytes of AES key")?;
        Ok(Self {
            public_id: public_id.parse()?,
            private_id: PrivateId::new(private_id),
            aes_key: AesKey::new(aes_key),
        })
    }

    /// A password with these counters, made here.
    #[must_use]
    pub fn otp(&self, uses: u16, session: u8) -> String {
        let token = Token {
            private_id: self.private_id.clone(),
            use_counter_raw: uses,
            timestamp: Timestamp::new(u32::from(session) * 8),
            session_counter: session,
            random: 0x1234,
        };
        Otp::new(self.public_id, token.seal(&self.aes_key)).to_string()
    }

    /// A password with these counters, made by `ykgenerate`.
    ///
    /// # Errors
    /// `ykgenerate` is missing or fails.
    pub fn otp_by_ykgenerate(&self, uses: u16, session: u8) -> Result<String> {
        let block = ykgenerate(
            self.aes_key.expose(),
            self.private_id.expose(),
            uses,
            u32::from(session) * 8,
            session,
        )?;
        Ok(format!("{}{block}", self.public_id))
    }

    /// The AES key in hexadecimal digits.
    #[must_use]
    pub fn aes_hex(&self) -> String {
        data_encoding::HEXLOWER.encode(self.aes_key.expose())
    }

    /// The private id in hexadecimal digits.
    #[must_use]
    pub fn private_hex(&self) -> String {
        data_encoding::HEXLOWER.encode(self.private_id.expose())
    }
}

/// The 32 letters of a block made by `ykgenerate`.
///
/// # Errors
/// `ykgenerate` is missing or fails.
pub fn ykgenerate(
    aes_key: &[u8; 16],
    private_id: &[u8; 6],
    uses: u16,
    ticks: u32,
    session: u8,
) -> Result<String> {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let output = command(part("ykgenerate")?)
        .args([hex(aes_key), hex(private_id)])
        .args([format!("{uses:04x}"), format!("{:04x}", ticks & 0xffff), format!("{:02x}", ticks >> 16)])
        .arg(format!("{session:02x}"))
        .output()?;
    ensure!(output.status.success(), "ykgenerate failed: {output:?}");
    let block = String::from_utf8(output.stdout)?.trim().to_owned();
    ensure!(modhex::is_modhex(block.as_bytes()) && block.len() == 32, "ykgenerate wrote {block:?}");
    Ok(block)
}

/// What a program wrote, both streams, for the text of a failure.
#[must_use]
pub fn told(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    format!("{}\n{stdout}{stderr}", output.status)
}
