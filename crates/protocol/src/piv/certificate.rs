//! Certificates as objects (NIST SP 800-73-4 part 1, appendix A).

use super::CodecError;
use crate::tlv::{Reader, Writer};

/// The value of a certificate object. What is in the certificate is not looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateObject {
    /// The certificate, in DER, possibly packed.
    pub bytes: Vec<u8>,
    /// Whether it is packed.
    pub compression: Compression,
}

/// Whether a certificate is packed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Compression {
    /// Plain DER.
    #[default]
    None,
    /// A gzip file (RFC 1952).
    Gzip,
}

impl CertificateObject {
    /// A certificate in DER.
    #[must_use]
    pub const fn new(der: Vec<u8>) -> Self {
        Self { bytes: der, compression: Compression::None }
    }

    /// Writes the value: `70` certificate, `71` kind of packing, `FE` empty.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let info = u8::from(self.compression == Compression::Gzip);
        let mut value = Writer::new();
        value.push(CERTIFICATE, &self.bytes).push(INFO, &[info]).push(CHECK, &[]);
        value.into_bytes()
    }

    /// Writes the value as the attestation certificate has it: `70` alone.
    #[must_use]
    pub fn encode_bare(&self) -> Vec<u8> {
        let mut value = Writer::new();
        value.push(CERTIFICATE, &self.bytes);
        value.into_bytes()
    }

    /// Reads the value. Elements that are not known are skipped; without `71` the certificate is not
    /// packed.
    ///
    /// # Errors
    /// [`CodecError`] when there is no certificate in it.
    pub fn parse(value: &[u8]) -> Result<Self, CodecError> {
        let mut bytes = None;
        let mut compression = Compression::None;
        for element in Reader::new(value) {
            let element = element?;
            match (element.tag, element.value) {
                (CERTIFICATE, value) => bytes = Some(value.to_vec()),
                (INFO, &[info]) if info & GZIP != 0 => compression = Compression::Gzip,
                (INFO, &[_]) => {}
                (INFO, value) => {
                    return Err(CodecError::FieldLength { tag: INFO.into(), length: value.len() });
                }
                _ => {}
            }
        }
        let bytes =
            bytes.filter(|bytes| !bytes.is_empty()).ok_or(CodecError::Missing { tag: CERTIFICATE.into() })?;
        Ok(Self { bytes, compression })
    }
}

const CERTIFICATE: u8 = 0x70;
const INFO: u8 = 0x71;
const CHECK: u8 = 0xFE;
const GZIP: u8 = 1;
