//! QR codes in PNG pictures.

use std::{fs::File, io::BufReader, path::Path};

use png::{ColorType, Decoder, Limits, Transformations};
use rqrr::PreparedImage;
use zeroize::Zeroizing;

use crate::exit::Failure;

/// The texts of all QR codes in a picture, which may be one of the whole screen.
pub(super) fn read(path: &Path) -> Result<Vec<Zeroizing<String>>, Failure> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    let picture = decode(file).map_err(|problem| {
        Failure::usage(format!("{shown} is not a PNG picture that can be read: {problem}"))
            .hint("most programs can save a picture as PNG")
    })?;
    let mut texts = picture.codes(false);
    if texts.is_empty() {
        // Light on dark.
        texts = picture.codes(true);
    }
    if texts.is_empty() {
        return Err(Failure::usage(format!("no QR code was found in {shown}"))
            .hint("show the code larger, straight and with its white margin, and take the picture again"));
    }
    Ok(texts)
}

/// Shades of grey.
struct Picture {
    width: usize,
    height: usize,
    shades: Vec<u8>,
}

impl Picture {
    fn codes(&self, inverted: bool) -> Vec<Zeroizing<String>> {
        let shade = |x: usize, y: usize| {
            let shade = self.shades.get(y * self.width + x).copied().unwrap_or(u8::MAX);
            if inverted { u8::MAX - shade } else { shade }
        };
        let mut image = PreparedImage::prepare_from_greyscale(self.width, self.height, shade);
        image
            .detect_grids()
            .iter()
            .filter_map(|grid| grid.decode().ok())
            .map(|(_, text)| text.into())
            .collect()
    }
}

fn decode(file: File) -> Result<Picture, String> {
    let limits = Limits { bytes: MAX_BYTES };
    let mut decoder = Decoder::new_with_limits(BufReader::new(file), limits);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let size = reader.output_buffer_size().filter(|size| *size <= MAX_BYTES);
    let mut bytes = vec![0; size.ok_or("it is too large")?];
    let frame = reader.next_frame(&mut bytes).map_err(|error| error.to_string())?;
    let channels = match frame.color_type {
        ColorType::Grayscale | ColorType::Indexed => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
    };
    let width = usize::try_from(frame.width).map_err(|_| "it is too large")?;
    let height = usize::try_from(frame.height).map_err(|_| "it is too large")?;
    let shades = bytes.chunks_exact(channels).take(width * height).map(shade).collect();
    Ok(Picture { width, height, shades })
}

/// Brightness as the eye sees it; what is transparent is white.
fn shade(pixel: &[u8]) -> u8 {
    let (light, alpha) = match *pixel {
        [grey] => (u32::from(grey), 255),
        [grey, alpha] => (u32::from(grey), alpha),
        [red, green, blue] => (luma(red, green, blue), 255),
        [red, green, blue, alpha] => (luma(red, green, blue), alpha),
        _ => (255, 255),
    };
    let alpha = u32::from(alpha);
    u8::try_from((light * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
}

fn luma(red: u8, green: u8, blue: u8) -> u32 {
    (u32::from(red) * 299 + u32::from(green) * 587 + u32::from(blue) * 114) / 1000
}

/// Four screens of 4K.
const MAX_BYTES: usize = 256 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::fs;

    use qrcode::{Color, QrCode};

    use super::*;

    /// Pictures of codes beside each other, in dots of five by five.
    fn draw(texts: &[&str], colours: ColorType, dark: &[u8], light: &[u8]) -> Vec<u8> {
        let codes: Vec<QrCode> = texts.iter().map(|text| QrCode::new(text).unwrap()).collect();
        let side = codes.iter().map(QrCode::width).max().unwrap() + 8;
        let (width, height) = (side * 5 * codes.len(), side * 5);
        let mut bytes = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let code = &codes[x / (side * 5)];
                let (column, row) = ((x / 5 % side).wrapping_sub(4), (y / 5).wrapping_sub(4));
                let inside = column < code.width() && row < code.width();
                let is_dark = inside && code[(column, row)] == Color::Dark;
                bytes.extend_from_slice(if is_dark { dark } else { light });
            }
        }
        let mut picture = Vec::new();
        let mut encoder =
            png::Encoder::new(&mut picture, u32::try_from(width).unwrap(), u32::try_from(height).unwrap());
        encoder.set_color(colours);
        encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
        picture
    }

    fn read_bytes(bytes: &[u8]) -> Result<Vec<String>, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture.png");
        fs::write(&path, bytes).unwrap();
        read(&path).map(|texts| texts.iter().map(|text| text.to_string()).collect())
    }

    #[test]
    fn codes_in_all_colours() {
        let text = "otpauth://totp/Example:alice?secret=JBSWY3DPEHPK3PXP";
        for (colours, dark, light) in [
            (ColorType::Grayscale, &[0][..], &[255][..]),
            (ColorType::Grayscale, &[250], &[10]),
            (ColorType::GrayscaleAlpha, &[0, 255], &[0, 0]),
            (ColorType::Rgb, &[20, 20, 90], &[250, 240, 230]),
            (ColorType::Rgba, &[0, 0, 0, 255], &[0, 0, 0, 0]),
        ] {
            assert_eq!(
                read_bytes(&draw(&[text], colours, dark, light)).unwrap(),
                [text],
                "{colours:?} {dark:?}"
            );
        }
    }

    #[test]
    fn several_codes_in_one_picture() {
        let mut found = read_bytes(&draw(&["one", "two"], ColorType::Grayscale, &[0], &[255])).unwrap();
        found.sort();
        assert_eq!(found, ["one", "two"]);
    }

    #[test]
    fn other_pictures() {
        let picture = draw(&["x"], ColorType::Grayscale, &[255], &[255]);
        assert!(read_bytes(&picture).unwrap_err().message().contains("no QR code"));
        for bytes in [&b""[..], b"GIF89a", &picture[..60]] {
            assert!(read_bytes(bytes).unwrap_err().message().contains("not a PNG picture"));
        }
        // A header that promises more than there is memory for.
        let mut huge = picture;
        huge[16..24].copy_from_slice(&[0, 0xFF, 0xFF, 0xFF, 0, 0xFF, 0xFF, 0xFF]);
        assert!(read_bytes(&huge).is_err());
    }
}
