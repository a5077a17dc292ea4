//! Which command lengths a key takes.

use super::Encoding;
use crate::link::CardTransport;
use crate::version::Version;

/// The encoding to use: extended lengths work over USB from firmware 4 on; elsewhere long data is
/// chained.
#[must_use]
pub fn encoding_for(version: Version, transport: CardTransport) -> Encoding {
    match transport {
        CardTransport::Usb if version >= Version::new(4, 0, 0) => Encoding::Extended,
        _ => Encoding::Short,
    }
}

/// The longest encoded command in bytes.
#[must_use]
pub fn max_command_size(version: Version) -> usize {
    if version < Version::new(4, 0, 0) {
        1390
    } else if version < Version::new(4, 3, 0) {
        2038
    } else {
        3062
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_generation() {
        let neo = Version::new(3, 4, 9);
        let five = Version::new(5, 7, 4);
        assert_eq!(encoding_for(neo, CardTransport::Usb), Encoding::Short);
        assert_eq!(encoding_for(five, CardTransport::Usb), Encoding::Extended);
        assert_eq!(encoding_for(five, CardTransport::Nfc), Encoding::Short);
        assert_eq!(max_command_size(neo), 1390);
        assert_eq!(max_command_size(Version::new(4, 2, 8)), 2038);
        assert_eq!(max_command_size(five), 3062);
    }
}
