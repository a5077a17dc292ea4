//! Files that come and go: PEM, DER and plain bytes.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

use clap::ValueEnum;
use data_encoding::BASE64;
use tapkey_protocol::piv::{CertificateObject, Compression};
use zeroize::Zeroizing;

use crate::{commands::Context, exit::Failure, secrets::private};

/// How keys and certificates are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(super) enum Format {
    /// Text.
    #[default]
    Pem,
    /// Bytes.
    Der,
}

/// A part of a PEM file, or a whole DER file, which has no label.
pub(super) struct Part {
    pub(super) label: String,
    pub(super) der: Zeroizing<Vec<u8>>,
}

impl Format {
    /// Writes bytes in this form.
    pub(super) fn write(self, label: &str, der: &[u8]) -> Vec<u8> {
        match self {
            Self::Pem => pem(label, der).into_bytes(),
            Self::Der => der.to_vec(),
        }
    }
}

/// Reads a file, or standard input for `-`.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    let result = if path == Path::new("-") {
        io::stdin().lock().take(LONGEST).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes))
    };
    match result {
        Ok(length) if u64::try_from(length).unwrap_or(LONGEST) == LONGEST => {
            Err(Failure::usage(format!("{} is too long: more than 16 MiB", path.display())))
        }
        Ok(_) => Ok(bytes),
        Err(error) => Err(Failure::usage(format!("cannot read {}: {error}", path.display()))),
    }
}

/// Writes to a file, or to standard output without one or for `-`. Secrets go into files for their
/// owner alone.
pub(super) fn write(
    context: &Context,
    path: Option<&Path>,
    bytes: &[u8],
    secret: bool,
) -> Result<(), Failure> {
    let Some(path) = path.filter(|path| *path != Path::new("-")) else {
        return context.printer.raw(bytes);
    };
    let cannot = |error: io::Error| Failure::failed(format!("cannot write {}: {error}", path.display()));
    if secret {
        let mut options = fs::OpenOptions::new();
        let mut file = private(options.write(true).create_new(true)).open(path).map_err(cannot)?;
        return file.write_all(bytes).map_err(cannot);
    }
    fs::write(path, bytes).map_err(cannot)
}

/// Takes the parts of a PEM file, or the whole of a DER file.
pub(super) fn parts(bytes: &[u8]) -> Result<Vec<Part>, Failure> {
    let text = str::from_utf8(bytes).ok().filter(|text| text.contains(BEGIN));
    let Some(mut rest) = text else {
        return Ok(vec![Part { label: String::new(), der: Zeroizing::new(bytes.to_vec()) }]);
    };
    let broken = || {
        Failure::usage("the PEM file is broken").hint("it was cut off, or something was added in its middle")
    };
    let mut parts = Vec::new();
    while let Some(start) = rest.find(BEGIN) {
        let (label, body) = rest[start + BEGIN.len()..].split_once(DASHES).ok_or_else(broken)?;
        let end = format!("-----END {label}{DASHES}");
        let (body, after) = body.split_once(&end).ok_or_else(broken)?;
        if body.contains(':') {
            return Err(Failure::usage("the private key is encrypted in a way that is not read here")
                .hint("decrypt it first, for example with `openssl pkey`"));
        }
        let digits: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
        let der = BASE64.decode(digits.as_bytes()).map_err(|_| broken())?;
        parts.push(Part { label: label.to_owned(), der: Zeroizing::new(der) });
        rest = after;
    }
    Ok(parts)
}

/// Writes PEM (RFC 7468).
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let digits = BASE64.encode(der);
    let mut text = format!("{BEGIN}{label}{DASHES}\n");
    let mut rest = digits.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}{DASHES}\n"));
    text
}

/// The certificate in an object, unpacked.
pub(super) fn unpack(object: &CertificateObject) -> Result<Vec<u8>, Failure> {
    if object.compression == Compression::None {
        return Ok(object.bytes.clone());
    }
    let mut der = Vec::new();
    // A certificate on a key is short; what unpacks to more is something else.
    flate2::read::GzDecoder::new(object.bytes.as_slice())
        .take(UNPACKED)
        .read_to_end(&mut der)
        .map_err(|error| Failure::failed(format!("the certificate cannot be unpacked: {error}")))?;
    Ok(der)
}

/// A certificate as an object, packed on request.
pub(super) fn pack(der: Vec<u8>, compress: bool) -> Result<CertificateObject, Failure> {
    if !compress {
        return Ok(CertificateObject::new(der));
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let bytes = encoder
        .write_all(&der)
        .and_then(|()| encoder.finish())
        .map_err(|error| Failure::failed(format!("the certificate cannot be packed: {error}")))?;
    Ok(CertificateObject { bytes, compression: Compression::Gzip })
}

pub(crate) const CERTIFICATE: &str = "CERTIFICATE";
pub(super) const REQUEST: &str = "CERTIFICATE REQUEST";
pub(super) const PUBLIC_KEY: &str = "PUBLIC KEY";
const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
const LONGEST: u64 = 16 << 20;
const UNPACKED: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_parts() {
        let text = format!("remarks\n{}\n{}", pem("A", &[1; 100]), pem("B C", &[2]));
        let parts = parts(text.as_bytes()).unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!((parts[0].label.as_str(), parts[0].der.as_slice()), ("A", &[1; 100][..]));
        assert_eq!((parts[1].label.as_str(), parts[1].der.as_slice()), ("B C", &[2][..]));
    }

    #[test]
    fn broken_files() {
        for text in ["-----BEGIN A-----\nAAAA", "-----BEGIN A-----\n*\n-----END A-----", "-----BEGIN A"] {
            assert!(parts(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(parts(&[0x30, 0]).unwrap()[0].der.as_slice(), [0x30, 0]);
    }

    #[test]
    fn packing() {
        let der = vec![0x30; 3000];
        let packed = pack(der.clone(), true).unwrap();
        assert!(packed.bytes.len() < 200);
        assert_eq!(unpack(&packed).unwrap(), der);
        let broken = CertificateObject { bytes: vec![1, 2], compression: Compression::Gzip };
        assert!(unpack(&broken).is_err());
    }
}
