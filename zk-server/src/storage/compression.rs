//! Snapshots that were compressed: gzip, and snappy in the framing of `SnappyOutputStream`
//! (xerial's, not the official one).

use std::io::{self, Read};

use bytes::Bytes;

use super::names::Compression;

const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
/// Magic, version, compatible version.
const XERIAL_HEADER_LEN: usize = 8 + 4 + 4;
/// The most that one of its blocks holds.
const MAX_BLOCK_LEN: usize = 512 << 20;
/// No byte of a block becomes more: three are a copy of 64. A block that announces more is
/// not worth its memory.
const MOST_PER_BYTE: usize = 64;

/// The bytes as they were before.
pub(super) fn decompress(bytes: Bytes, compression: Compression) -> io::Result<Bytes> {
    match compression {
        Compression::None => Ok(bytes),
        Compression::Gzip => {
            let mut plain = Vec::new();
            flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain)?;
            Ok(plain.into())
        }
        Compression::Snappy => unsnap(&bytes),
    }
}

fn unsnap(bytes: &[u8]) -> io::Result<Bytes> {
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "a block is cut off");
    if !bytes.starts_with(XERIAL_MAGIC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not snappy"));
    }
    let mut rest = bytes.get(XERIAL_HEADER_LEN..).ok_or_else(cut)?;
    let (mut plain, mut decoder) = (Vec::new(), snap::raw::Decoder::new());
    while !rest.is_empty() {
        if rest.starts_with(XERIAL_MAGIC) {
            // Streams may be joined.
            rest = rest.get(XERIAL_HEADER_LEN..).ok_or_else(cut)?;
            continue;
        }
        let (len, behind) = rest.split_first_chunk().ok_or_else(cut)?;
        let len = u32::from_be_bytes(*len) as usize;
        let block = behind.get(..len).ok_or_else(cut)?;
        let plain_len = snap::raw::decompress_len(block)?;
        if plain_len > MAX_BLOCK_LEN.min(block.len().saturating_mul(MOST_PER_BYTE)) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a block is too long",
            ));
        }
        let at = plain.len();
        plain.resize(at + plain_len, 0);
        decoder.decompress(block, &mut plain[at..])?;
        rest = &behind[len..];
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn gzip_and_snappy_are_undone() {
        let plain: Vec<u8> = (0..100_000_u32)
            .flat_map(|n| (n / 7).to_be_bytes())
            .collect();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).expect("memory");
        let gzip = gzip.finish().expect("memory");
        let read = decompress(gzip.into(), Compression::Gzip).expect("our own");
        assert_eq!(read, plain);

        let mut snappy = Vec::from(*XERIAL_MAGIC);
        snappy.extend([0, 0, 0, 1, 0, 0, 0, 1]);
        for block in plain.chunks(32 << 10) {
            let block = snap::raw::Encoder::new()
                .compress_vec(block)
                .expect("short");
            snappy.extend((block.len() as u32).to_be_bytes());
            snappy.extend(block);
        }
        for cut in [5, 17, 25, snappy.len() - 1] {
            let cut = Bytes::copy_from_slice(&snappy[..cut]);
            decompress(cut, Compression::Snappy).expect_err("it is cut");
        }
        // A block of which nothing is there but its length, 256 MiB.
        let bomb = [&snappy[..16], &[0, 0, 0, 5, 0x80, 0x80, 0x80, 0x80, 1]].concat();
        let error = decompress(bomb.into(), Compression::Snappy).expect_err("too long");
        assert_eq!(error.to_string(), "a block is too long");
        let read = decompress(snappy.into(), Compression::Snappy).expect("our own");
        assert_eq!(read, plain);
    }
}
