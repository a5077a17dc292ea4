//! Frames on the socket: four bytes of length, big-endian, then as many bytes.

use std::io::{self, Read, Write};

/// The longest extended command is 65 544 bytes; everything else is shorter.
pub(super) const LONGEST: usize = 1 << 17;

pub(super) fn send(to: &mut impl Write, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len())
        .ok()
        .filter(|_| body.len() <= LONGEST)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the message is too long"))?;
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(body);
    to.write_all(&frame)
}

/// The next frame, or `None` when the other side has closed between frames.
pub(super) fn receive(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read(&mut length) {
        Ok(0) => return Ok(None),
        Ok(read) => from.read_exact(length.get_mut(read..).unwrap_or_default())?,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => from.read_exact(&mut length)?,
        Err(error) => return Err(error),
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is too long"));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(Some(body))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_that_is_a_lie_takes_no_memory() {
        let error = receive(&mut &[0xFF, 0xFF, 0xFF, 0xFF, 1][..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let error = receive(&mut &[0, 0, 0, 9, 1][..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(receive(&mut &[][..]).unwrap().is_none());
        assert!(send(&mut Vec::new(), &vec![0; LONGEST + 1]).is_err());
    }

    proptest! {
        #[test]
        fn round_trip(body: Vec<u8>) {
            let mut frame = Vec::new();
            send(&mut frame, &body).unwrap();
            prop_assert_eq!(receive(&mut &frame[..]).unwrap(), Some(body));
        }
    }
}
