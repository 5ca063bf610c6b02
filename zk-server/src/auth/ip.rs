//! Scheme `ip`: an address, in ACLs perhaps with a number of leading bits.

use std::net::IpAddr;

/// An address as Java prints it: IPv6 in full, without leading zeros, and
/// IPv4-mapped addresses as IPv4.
pub(crate) fn host_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => v6
            .segments()
            .map(|segment| format!("{segment:x}"))
            .join(":"),
    }
}

/// Whether an ACL may hold `id`: `address` or `address/bits`.
pub(super) fn is_valid(id: &str) -> bool {
    parse_acl(id).is_some()
}

/// Whether the connection from `address` is meant by the ACL's `id`.
pub(super) fn matches(address: &str, id: &str) -> bool {
    let Some((mut wanted, bits)) = parse_acl(id) else {
        return false;
    };
    let Some(mut actual) = parse(address) else {
        return false;
    };
    mask(&mut wanted, bits);
    mask(&mut actual, bits);
    wanted == actual
}

fn parse_acl(id: &str) -> Option<(Vec<u8>, usize)> {
    let (address, bits) = match id.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (id, None),
    };
    let bytes = parse(address)?;
    let width = bytes.len() * 8;
    let bits = match bits {
        Some(bits) => usize::try_from(bits.parse::<i32>().ok()?).ok()?,
        None => width,
    };
    (bits <= width).then_some((bytes, bits))
}

fn parse(address: &str) -> Option<Vec<u8>> {
    if address.contains(':') {
        parse_v6(address)
    } else {
        parse_v4(address)
    }
}

/// Four numbers as Java's `Integer.parseInt` takes them, so signs and leading
/// zeros pass.
fn parse_v4(address: &str) -> Option<Vec<u8>> {
    let bytes: Vec<u8> = address
        .split('.')
        .map(|part| u8::try_from(part.parse::<i32>().ok()?).ok())
        .collect::<Option<_>>()?;
    (bytes.len() == 4).then_some(bytes)
}

/// Eight groups, or fewer around one `::`; no embedded IPv4 form.
fn parse_v6(address: &str) -> Option<Vec<u8>> {
    const GROUPS: usize = 8;
    let mut halves = address.split("::");
    let head = parse_groups(halves.next()?)?;
    let Some(tail) = halves.next() else {
        return (head.len() == GROUPS * 2).then_some(head);
    };
    let tail = parse_groups(tail)?;
    if halves.next().is_some() || head.len() + tail.len() >= GROUPS * 2 {
        return None;
    }
    let mut bytes = head;
    bytes.resize(GROUPS * 2 - tail.len(), 0);
    bytes.extend(tail);
    Some(bytes)
}

fn parse_groups(groups: &str) -> Option<Vec<u8>> {
    const DIGITS: usize = 4;
    if groups.is_empty() {
        return Some(Vec::new());
    }
    let mut bytes = Vec::new();
    for group in groups.split(':') {
        if group.len() > DIGITS {
            return None;
        }
        let value = i32::from_str_radix(group, 16).ok()?;
        bytes.extend_from_slice(&value.to_be_bytes()[2..]);
    }
    Some(bytes)
}

fn mask(bytes: &mut [u8], bits: usize) {
    for (at, byte) in bytes.iter_mut().enumerate() {
        let kept = bits.saturating_sub(at * 8).min(8) as u32;
        *byte &= 0xffu8.checked_shl(8 - kept).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_java_prints_them() {
        let print = |text: &str| host_address(text.parse().unwrap());
        assert_eq!(print("127.0.0.1"), "127.0.0.1");
        assert_eq!(print("::1"), "0:0:0:0:0:0:0:1");
        assert_eq!(print("2001:0db8::a0"), "2001:db8:0:0:0:0:0:a0");
        assert_eq!(print("::ffff:10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn syntax_is_that_of_apache() {
        for valid in [
            "1.2.3.4",
            "+1.02.3.4/0",
            "10.0.0.0/32",
            "::",
            "::1",
            "1::",
            "1:2:3:4:5:6:7:8/128",
            "fe80::1/10",
        ] {
            assert!(is_valid(valid), "{valid}");
        }
        for wrong in [
            "",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "1.2.3.4/33",
            "1.2.3.4/-1",
            "1.2.3.4/",
            "1.2.3.4/8/8",
            "host",
            ":::",
            "1::2::3",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7::8",
            "12345::",
            "g::",
            "::1.2.3.4",
        ] {
            assert!(!is_valid(wrong), "{wrong}");
        }
    }

    #[test]
    fn leading_bits_decide() {
        assert!(matches("10.1.2.3", "10.1.2.3"));
        assert!(!matches("10.1.2.3", "10.1.2.4"));
        assert!(matches("10.1.2.3", "10.9.9.9/8"));
        assert!(matches("10.1.2.3", "10.1.3.0/23"));
        assert!(!matches("10.1.2.3", "10.1.4.0/23"));
        assert!(matches("10.1.2.3", "0.0.0.0/0"));
        assert!(!matches("10.1.2.3", "::/0"), "families must agree");
        assert!(matches("0:0:0:0:0:0:0:1", "::1"));
        assert!(matches("fe80:0:0:0:1:2:3:4", "fe80::/10"));
    }
}
